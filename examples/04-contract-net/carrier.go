package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/pattern"
)

// Carrier carries things for money.
type Carrier struct {
	Rate   int           `json:"rate"`   // for 100 kg
	Strong int           `json:"strong"` // how many kg it can carry; 0: any
	Thinks time.Duration `json:"thinks"` // before it bids
	Faints bool          `json:"faints"` // its program dies when it gets a job

	env agent.Env
}

// Start implements agent.Starter.
func (c *Carrier) Start(_ context.Context, env agent.Env) error { c.env = env; return nil }

// Capabilities implements agent.Agent.
func (c *Carrier) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Carries things for money.",
		Tools: []agent.Tool{
			agent.NewTool("offer", "Say what it costs to carry something.", c.offer, agent.ReadOnly()),
			agent.NewTool("carry", "Carry something.", c.carry),
			agent.NewTool("missed", "Hear that somebody else carries it.", c.missed),
		},
	}
}

func (c *Carrier) offer(ctx context.Context, j Job) (Offer, error) {
	if c.Strong > 0 && j.Weight > c.Strong {
		return Offer{}, agent.Errorf(agent.CodeToolFailed, "%d kg are too much for me", j.Weight)
	}
	select {
	case <-time.After(c.Thinks):
		return Offer{c.Rate * j.Weight / 100}, nil
	case <-ctx.Done():
		return Offer{}, ctx.Err()
	}
}

func (c *Carrier) carry(_ context.Context, a pattern.Award[Job, Offer]) (string, error) {
	if c.Faints {
		fmt.Fprintln(os.Stderr, c.env.Name, "faints")
		os.Exit(1)
	}
	return "carries " + a.Task.What, nil
}

func (c *Carrier) missed(_ context.Context, a pattern.Award[Job, Offer]) (string, error) {
	c.env.Logger.Debug("missed a job", "job", a.Task.Number, "winner", a.Winner)
	return "", nil
}
