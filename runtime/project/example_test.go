package project_test

import (
	"fmt"
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
