package main

import (
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

func TestWelcome(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"greeter": &Greeter{Greeting: "Good morning"}, "host": &Host{}})
	got, err := agent.Ask[string](sys.Ctx(), "host.welcome", Name{Name: "Ada"})
	if want := "Good morning, Ada! Welcome to openmas."; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if asked := agenttest.Inputs[Name](sys, "greeter.greet"); len(asked) != 1 || asked[0].Name != "Ada" {
		t.Errorf("the greeter was asked for %v", asked)
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
