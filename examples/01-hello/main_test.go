package main

import (
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/agent/agenttest/wire"
)

// The host asks the greeter once, over whatever the two are connected by.
func TestWelcome(t *testing.T) {
	wire.Each(t, func(t *testing.T, over agenttest.Option) {
		sys := agenttest.Run(t, agenttest.Agents{"greeter": &Greeter{Greeting: "Good morning"}, "host": &Host{}}, over)
		got, err := agent.Ask[string](sys.Ctx(), "host.welcome", Name{Name: "Ada"})
		if want := "Good morning, Ada! Welcome to openmas."; err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		sys.Golden("testdata/welcome.golden")
	})
}

func TestHostAsksOnce(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"host": &Host{},
		"greeter": agenttest.Script{"greet": agenttest.Expect(Name{Name: "Ada"}, "Hi")}})
	if _, err := agent.Ask[string](sys.Ctx(), "host.welcome", Name{Name: "Ada"}); err != nil {
		t.Error(err)
	}
}

func TestGreeterIsGone(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"greeter": agenttest.Script{"greet": agent.Errorf(agent.CodeUnavailable,
		"on holiday")}, "host": &Host{}})
	if _, err := agent.Ask[string](sys.Ctx(), "host.welcome",
		Name{Name: "Ada"}); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Errorf("%v", err)
	}
}
