package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
)

// Visitor asks the assistant one question, and shows what happens, as a program with a person in
// front of it would.
type Visitor struct {
	Question string `json:"question"`
	Approve  bool   `json:"approve"` // what it answers when it is asked

	env agent.Env
}

// Capabilities implements agent.Agent.
func (v *Visitor) Capabilities() agent.Capabilities {
	return agent.Capabilities{Requires: []agent.Requirement{agent.RequireTool[Question, string]("assistant.ask")}}
}

// Start implements agent.Starter.
func (v *Visitor) Start(_ context.Context, env agent.Env) error { v.env = env; return nil }

// Run implements agent.Runner.
func (v *Visitor) Run(ctx context.Context) error {
	show := func(who, text string) { fmt.Fprintf(v.env.Output, "%-10s %s\n", who, text) }
	show("visitor", v.Question)
	back := agent.BackChannelFuncs{
		OnProgress: func(n agent.ProgressNotice) {
			who := "assistant"
			if strings.HasPrefix(n.Message, "[") { // a tool
				who = ""
			}
			show(who, n.Message)
		},
		Elicit: func(_ context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
			show("assistant", r.Message)
			show("visitor", map[bool]string{true: "yes", false: "no"}[v.Approve])
			if !v.Approve {
				return agent.ElicitResult{Action: agent.ElicitDecline}, nil
			}
			return agent.ElicitResult{Action: agent.ElicitAccept, Content: []byte(`{"approve":true}`)}, nil
		},
	}
	_, err := agent.Ask[string](agent.WithBackChannel(ctx, back), "assistant.ask", Question{v.Question})
	return err // the answer was shown while it came
}
