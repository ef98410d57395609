package agenttest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

type Place struct {
	Name string `json:"name"`
}

type Position struct {
	Lat, Lon float64
}

// Traveller is the agent under test: it asks another one.
type Traveller struct{}

func (Traveller) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Tools: []agent.Tool{agent.NewTool("plan", "Plan a trip.", func(ctx context.Context, p Place) (string, error) {
			pos, err := agent.Ask[Position](ctx, "geo.locate", p)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("Head for %.1f, %.1f.", pos.Lat, pos.Lon), nil
		})},
		Requires: []string{"geo.locate"},
	}
}

func ExampleRun() {
	test := func(t *testing.T) {
		sys := agenttest.Run(t, agenttest.Agents{
			"traveller": Traveller{},
			"geo":       agenttest.Script{"locate": agenttest.Each(Position{46.9, 7.4}, agent.NotFound("Atlantis"))},
		})
		for _, name := range []string{"Bern", "Atlantis"} {
			fmt.Println(agent.Ask[string](sys.Ctx(), "traveller.plan", Place{name}))
		}
		fmt.Println(agenttest.Inputs[Place](sys, "geo.locate"))
	}
	run(test)
	// Output:
	// Head for 46.9, 7.4. <nil>
	//  not_found: Atlantis does not exist
	// [{Bern} {Atlantis}]
}

// run stands in for `go test`.
func run(test func(*testing.T)) {
	testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "TestTraveller", F: test}})
}
