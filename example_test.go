package openmas_test

import (
	"context"
	"fmt"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/runtime"
)

type City struct {
	Name string `json:"name" jsonschema:"city to forecast"`
}

// Weather is an agent. Its fields are filled from config: in the project file.
type Weather struct {
	Unit string `json:"unit"`
}

func (w *Weather) Forecast(_ context.Context, c City) (string, error) {
	return fmt.Sprintf("%s: 21 %s, sunny", c.Name, w.Unit), nil
}

func (w *Weather) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("forecast", "Forecast the weather for a city.", w.Forecast, agent.ReadOnly()),
	}}
}

// The main function of a program with one type of agent. A type's function makes a new agent for
// each instance, with the defaults of its configuration.
func ExampleMain() {
	openmas.Main(agent.Types{
		"weather": func() agent.Agent { return &Weather{Unit: "C"} },
	}, openmas.Version("v1.2.0"))
}

// A project file chooses the broker with broker: {type: toy}.
func ExampleWithDriver() {
	connect := func(_ context.Context, o runtime.DriverOptions) (pubsub.Driver, error) {
		return pubsub.NewMemory(pubsub.MemoryOptions{Logger: o.Logger}), nil
	}
	openmas.Main(agent.Types{
		"weather": func() agent.Agent { return &Weather{Unit: "C"} },
	}, openmas.WithDriver("toy", connect))
}
