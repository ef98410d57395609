package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/pattern"
)

// Job is the big one.
type Job struct {
	Below int `json:"below" jsonschema:"count the prime numbers below this"`
}

// Total is the answer to the job.
type Total struct {
	Primes int            `json:"primes"`
	Ranges int            `json:"ranges"`
	By     map[string]int `json:"by" jsonschema:"how many ranges each instance did"`
}

// Foreman has the work done.
type Foreman struct {
	Below int `json:"below"` // what Run counts
	Step  int `json:"step"`  // numbers in a range

	env agent.Env
}

// Start implements agent.Starter.
func (f *Foreman) Start(_ context.Context, env agent.Env) error { f.env = env; return nil }

// Capabilities implements agent.Agent.
func (f *Foreman) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("primes", "Count prime numbers, with the help of all workers.", f.work(), agent.ReadOnly())}}
}

// work is the orchestrator. A worker that is done takes the next range, so that a slow one does
// few; what a worker that dies has not done, another one does.
func (f *Foreman) work() pattern.Step[Job, Total] {
	return pattern.Orchestrator[Job, Range, Found, Total]{
		Tool:  "count",
		Each:  2, // ranges at a time, so that both replicas of a worker are busy
		Split: f.split,
		Join: func(_ context.Context, _ Job, parts []Found) (Total, error) {
			t := Total{Ranges: len(parts), By: map[string]int{}}
			for _, p := range parts {
				t.Primes += p.Primes
				t.By[p.By]++
			}
			return t, nil
		},
	}.Step()
}

func (f *Foreman) split(_ context.Context, j Job) ([]Range, error) {
	var all []Range
	for from := 0; from < j.Below; from += f.Step {
		all = append(all, Range{from, min(from+f.Step, j.Below)})
	}
	return all, nil
}

// Run implements agent.Runner.
func (f *Foreman) Run(ctx context.Context) error {
	t, err := f.work()(ctx, Job{f.Below})
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(f.env.Output, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "%d prime numbers below %d, counted in %d ranges\n", t.Primes, f.Below, t.Ranges)
	for _, by := range slices.Sorted(maps.Keys(t.By)) {
		fmt.Fprintf(tw, "  %s\t%d\n", by, t.By[by])
	}
	return tw.Flush()
}
