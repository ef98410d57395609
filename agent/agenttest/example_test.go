package agenttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
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
		Requires: []agent.Requirement{agent.Require("geo.locate")},
	}
}

func ExampleRun() {
	TestTraveller := func(t testing.TB) {
		sys := agenttest.Run(t, agenttest.Agents{
			"traveller": Traveller{},
			"geo":       agenttest.Script{"locate": agenttest.Each(Position{46.9, 7.4}, agent.NotFound("Atlantis"))},
		})
		for _, name := range []string{"Bern", "Atlantis"} {
			fmt.Println(agent.Ask[string](sys.Ctx(), "traveller.plan", Place{name}))
		}
		fmt.Println(agenttest.Inputs[Place](sys, "geo.locate"))
	}
	run(TestTraveller)
	// Output:
	// Head for 46.9, 7.4. <nil>
	//  not_found: Atlantis does not exist
	// [{Bern} {Atlantis}]
}

func ExampleScript() {
	TestAnswers := func(t testing.TB) {
		sys := agenttest.Run(t, agenttest.Agents{"geo": agenttest.Script{
			"locate": Position{46.9, 7.4},
			"name":   errors.New("the map is upside down"),
			"shout": agenttest.Func(func(_ context.Context, p Place) (string, error) {
				return strings.ToUpper(p.Name), nil
			}),
		}})
		fmt.Println(agent.Ask[Position](sys.Ctx(), "geo.locate", Place{"Bern"}))
		fmt.Println(agent.Ask[string](sys.Ctx(), "geo.shout", Place{"Bern"}))
		_, err := agent.Ask[string](sys.Ctx(), "geo.name", Position{})
		fmt.Println(err)
	}
	run(TestAnswers)
	// Output:
	// {46.9 7.4} <nil>
	// BERN <nil>
	// tool_failed: the map is upside down
}

// Counter is an agent that listens and has work of its own.
type Counter struct{ trips atomic.Int64 }

func (c *Counter) Capabilities() agent.Capabilities {
	return agent.Capabilities{Subscriptions: []agent.Subscription{
		agent.On("trip.planned", func(context.Context, Place) error {
			c.trips.Add(1)
			return nil
		}),
	}}
}

func (c *Counter) Run(ctx context.Context) error {
	return agent.Publish(ctx, "trips.counted", c.trips.Load())
}

func ExampleSystem() {
	TestCounter := func(t testing.TB) {
		sys := agenttest.Run(t, agenttest.Agents{"counter": &Counter{}}, agenttest.ByHand())
		for _, city := range []string{"Bern", "Basel"} {
			if err := agent.Publish(sys.Ctx(), "trip.planned", Place{city}); err != nil {
				t.Fatal(err)
			}
		}
		sys.Settle() // every event was handled
		if err := sys.RunAgent(sys.Ctx(), "counter"); err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(sys.Published("trips.counted")[0].Payload))
	}
	run(TestCounter)
	// Output: 2
}

// run stands in for `go test`.
func run(test func(testing.TB)) {
	t := &standIn{}
	test(t)
	for _, f := range slices.Backward(t.cleanup) {
		f()
	}
}

type standIn struct {
	testing.TB
	cleanup []func()
}

func (t *standIn) Helper()                  {}
func (t *standIn) Cleanup(f func())         { t.cleanup = append(t.cleanup, f) }
func (t *standIn) Context() context.Context { return context.Background() }
func (t *standIn) TempDir() string          { return os.TempDir() }
func (t *standIn) Output() io.Writer        { return io.Discard }
func (t *standIn) Error(args ...any)        { fmt.Println(args...) }
func (t *standIn) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }
