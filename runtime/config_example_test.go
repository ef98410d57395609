package runtime_test

import (
	"fmt"
	"time"

	"github.com/openmas/openmas/runtime"
)

// A project without YAML: the zero value of every field is its default.
func ExampleConfig() {
	cfg := &runtime.Config{
		Project: "demo",
		Agents: map[string]runtime.AgentConfig{
			"geo": {Type: "geo"},
			"weather": {Type: "weather", Communicator: runtime.OverPubSub,
				Policy: runtime.Policy{Timeout: 3 * time.Second}},
			"search": {URL: "https://example.org/sse", Replicas: 2},
		},
	}
	fmt.Println(cfg.Validate())
	fmt.Println(cfg.PolicyFor("weather", "forecast").Timeout, cfg.PolicyFor("geo", "locate").Timeout)
	// Output:
	// agents.search.replicas: a url agent runs elsewhere and has no replicas here
	// 3s 30s
}

// An agent's config: block fills its struct, strictly.
func ExampleFill() {
	weather := struct {
		Unit    string        `json:"unit"`
		Refresh time.Duration `json:"refresh"`
	}{Unit: "C"}
	err := runtime.Fill(&weather, map[string]any{"refresh": "5m"})
	fmt.Println(weather, err)
	err = runtime.Fill(&weather, map[string]any{"refrsh": "5m"})
	fmt.Println(err)
	// Output:
	// {C 5m0s} <nil>
	// unknown key "refrsh"; did you mean "refresh"?
}
