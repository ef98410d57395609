// Hello: two agents, one calls the other. Run it: openmas run examples/01-hello/openmas.yaml
package main

import (
	"context"
	"fmt"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

type Name struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

// Greeter knows how to greet.
type Greeter struct {
	Greeting string `json:"greeting"`
}

func (g *Greeter) Greet(_ context.Context, in Name) (string, error) {
	return fmt.Sprintf("%s, %s!", g.Greeting, in.Name), nil
}

func (g *Greeter) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("greet", "Greet somebody by name.", g.Greet,
		agent.ReadOnly())}}
}

// Host welcomes visitors, and asks the greeter how.
type Host struct{}

func (h *Host) Welcome(ctx context.Context, in Name) (string, error) {
	greeting, err := agent.Ask[string](ctx, "greeter.greet", in)
	return greeting + " Welcome to openmas.", err
}

func (h *Host) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("welcome", "Welcome a visitor.", h.Welcome)},
		Requires: []agent.Requirement{agent.Require("greeter.greet")}}
}

func main() {
	openmas.Main(agent.Types{
		"greeter": func() agent.Agent { return &Greeter{Greeting: "Hello"} },
		"host":    func() agent.Agent { return &Host{} },
	})
}
