package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/openmas/openmas/agent"
)

// Monkey kills a child process of another agent while it has a call, once. It is here to show that
// the review is the same without and with it.
type Monkey struct {
	Kills string `json:"kills"` // the agent

	env agent.Env
}

// Capabilities implements agent.Agent.
func (m *Monkey) Capabilities() agent.Capabilities {
	return agent.Capabilities{Description: "Kills a child process while it works."}
}

// Start implements agent.Starter.
func (m *Monkey) Start(_ context.Context, env agent.Env) error { m.env = env; return nil }

// Run implements agent.Runner.
func (m *Monkey) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		pid, err := m.victim(ctx)
		if err != nil {
			return err
		}
		if pid != 0 {
			return m.kill(pid)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no child process of %s had a call: %w", m.Kills, ctx.Err())
		}
	}
}

// victim is the process of an instance that has a call; 0: there is none now.
func (m *Monkey) victim(ctx context.Context) (int, error) {
	var status struct {
		Agents []struct {
			Name      string `json:"name"`
			Instances []struct {
				PID      int `json:"pid"`
				InFlight int `json:"inFlight"`
			} `json:"instances"`
		} `json:"agents"`
	}
	res, err := agent.CallTool(ctx, "openmas.status", nil)
	if err != nil {
		return 0, err
	}
	if err := res.Decode(&status); err != nil {
		return 0, err
	}
	for _, a := range status.Agents {
		for _, i := range a.Instances {
			if a.Name == m.Kills && i.InFlight > 0 && i.PID != 0 {
				return i.PID, nil
			}
		}
	}
	return 0, nil
}

func (m *Monkey) kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("find the process: %w", err)
	}
	if err := p.Kill(); err != nil {
		return fmt.Errorf("kill the process: %w", err)
	}
	_, err = fmt.Fprintf(m.env.Output, "The monkey has killed process %d of %s, which had a call.\n", pid, m.Kills)
	return err
}
