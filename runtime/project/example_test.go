package project_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/openmas/openmas/runtime/project"
)

// A project without YAML: the zero value of every field is its default.
func ExampleConfig() {
	cfg := &project.Config{
		Project: "demo",
		Agents: map[string]project.Agent{
			"geo": {Type: "geo"},
			"weather": {Type: "weather", Communicator: project.OverPubSub,
				Policy: project.Policy{Timeout: 3 * time.Second}},
			"search": {URL: "https://example.org/sse", Sessions: 65},
		},
	}
	fmt.Println(cfg.Validate())
	fmt.Println(cfg.PolicyFor("weather", "forecast").Timeout, cfg.PolicyFor("geo", "locate").Timeout)
	// Output:
	// agents.search.sessions: must be 1 to 64, not 65
	// 3s 30s
}

// An agent's config: block fills its struct, strictly.
func ExampleFill() {
	weather := struct {
		Unit    string        `json:"unit"`
		Refresh time.Duration `json:"refresh"`
	}{Unit: "C"}
	err := project.Fill(&weather, map[string]any{"refresh": "5m"})
	fmt.Println(weather, err)
	err = project.Fill(&weather, map[string]any{"refrsh": "5m"})
	fmt.Println(err)
	// Output:
	// {C 5m0s} <nil>
	// unknown key "refrsh"; did you mean "refresh"?
}

// Everything that is wrong with a project file is reported at once, each with its place.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "openmas.yaml")
	text := "agents:\n  linter: {type: linter, comunicator: mcp-sse}\n  search: {url: \"https://x/sse\", timeout: 3}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
	}
	_, err = project.Load(path, project.Options{})
	var problems project.Errors
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Printf("%d:%d: %s\n", p.Pos.Line, p.Pos.Column, p.Message)
		}
	}
	// Output:
	// 2:26: unknown key "comunicator" in agents.linter
	// 3:43: agents.search.timeout: wants a duration with a unit, not the number 3
}
