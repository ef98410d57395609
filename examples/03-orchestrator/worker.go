package main

import (
	"context"

	"github.com/openmas/openmas/agent"
)

// Range is a part of a job.
type Range struct {
	From int `json:"from"`
	To   int `json:"to" jsonschema:"the first number after the range"`
}

// Found is what a worker answers.
type Found struct {
	Primes int    `json:"primes"`
	By     string `json:"by" jsonschema:"which instance counted"`
}

// Worker counts prime numbers.
type Worker struct{ env agent.Env }

// Start implements agent.Starter.
func (w *Worker) Start(_ context.Context, env agent.Env) error { w.env = env; return nil }

// Capabilities implements agent.Agent. The tool is read-only, so that a range may be counted again
// when its worker died.
func (w *Worker) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("count", "Count the prime numbers of a range.", w.Count, agent.ReadOnly())}}
}

// Count counts by trial division: slow, so that there is something to share.
func (w *Worker) Count(ctx context.Context, r Range) (Found, error) {
	found := Found{By: w.env.Instance}
	for n := r.From; n < r.To; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return found, ctx.Err()
		}
		if prime(n) {
			found.Primes++
		}
	}
	return found, nil
}

func prime(n int) bool {
	if n < 2 {
		return false
	}
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}
