package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/pattern"
)

// Number is what is worked on.
type Number struct {
	N int `json:"n"`
}

// Square is the answer.
type Square struct {
	Square  int `json:"square"`
	Process int `json:"process" jsonschema:"the ID of the process that worked it out"`
}

// Worker works out squares, and takes its time.
type Worker struct{}

// Capabilities implements agent.Agent. The tool is idempotent: a call whose process died without an
// answer goes to another process.
func (*Worker) Capabilities() agent.Capabilities {
	square := func(ctx context.Context, in Number) (Square, error) {
		select {
		case <-time.After(200 * time.Millisecond):
			return Square{in.N * in.N, os.Getpid()}, nil
		case <-ctx.Done():
			return Square{}, ctx.Err()
		}
	}
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("square", "Work out a square.", square, agent.Idempotent())}}
}

// Foreman has many squares worked out, four at a time.
type Foreman struct {
	Calls int `json:"calls"`

	env agent.Env
}

// Capabilities implements agent.Agent.
func (f *Foreman) Capabilities() agent.Capabilities {
	return agent.Capabilities{Requires: []agent.Requirement{agent.Require("worker.square")}}
}

// Start implements agent.Starter.
func (f *Foreman) Start(_ context.Context, env agent.Env) error { f.env = env; return nil }

// Run implements agent.Runner. It prints a line for each quarter of the calls, then how it went.
func (f *Foreman) Run(ctx context.Context) error {
	by, wrong := map[int]int{}, 0
	ask := pattern.Map(4, pattern.Call[Number, Square]("worker.square"))
	for quarter := range 4 {
		var in []Number
		for n := range f.Calls / 4 {
			in = append(in, Number{quarter*f.Calls/4 + n})
		}
		out, err := ask(ctx, in)
		if err != nil {
			return err
		}
		for i, s := range out {
			by[s.Process]++
			if s.Square != in[i].N*in[i].N {
				wrong++
			}
		}
		if _, err := fmt.Fprintf(f.env.Output, "%d calls answered\n", (quarter+1)*f.Calls/4); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(f.env.Output, "%d processes answered, %d answers are wrong, none is missing\n", len(by),
		wrong)
	return err
}
