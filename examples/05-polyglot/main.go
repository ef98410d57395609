// Polyglot: an analyst, in Go, asks an agent in Python and one in TypeScript at the same time. They
// are MCP servers as everybody writes them, and know nothing of openmas.
//
// Run it: make demos DEMO=05-polyglot
package main

import (
	"context"
	"fmt"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/pattern"
)

// Numbers is what everybody here takes.
type Numbers struct {
	Numbers []float64 `json:"numbers"`
}

// Statistics is what the tool of stats.py answers.
type Statistics struct {
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	Stdev  float64 `json:"stdev"`
}

// Report is what the analyst makes of both answers.
type Report struct {
	Statistics Statistics `json:"statistics"`
	Chart      string     `json:"chart"`
}

// Analyst reports on numbers.
type Analyst struct {
	Numbers []float64 `json:"numbers"`

	env agent.Env
}

// Start implements agent.Starter.
func (a *Analyst) Start(_ context.Context, env agent.Env) error { a.env = env; return nil }

// Capabilities implements agent.Agent.
func (a *Analyst) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Tools: []agent.Tool{agent.NewTool("report", "Report on numbers.", a.report, agent.ReadOnly())},
		Requires: []agent.Requirement{agent.RequireTool[Numbers, Statistics]("stats.describe"),
			agent.RequireTool[Numbers, string]("chart.bars")},
	}
}

func (a *Analyst) report(ctx context.Context, in Numbers) (Report, error) {
	numbers := func(*Report) any { return in }
	return pattern.Sequence(pattern.Together(
		pattern.Ask("stats.describe", numbers, func(r *Report, s Statistics) { r.Statistics = s }),
		pattern.Ask("chart.bars", numbers, func(r *Report, chart string) { r.Chart = chart }),
	))(ctx, Report{})
}

// Run implements agent.Runner.
func (a *Analyst) Run(ctx context.Context) error {
	r, err := a.report(ctx, Numbers{a.Numbers})
	if err != nil {
		return err
	}
	s := r.Statistics
	_, err = fmt.Fprintf(a.env.Output, "%s\n\nmean %.2f, median %.2f, standard deviation %.2f\n", r.Chart, s.Mean,
		s.Median, s.Stdev)
	return err
}

func main() {
	openmas.Main(agent.Types{"analyst": func() agent.Agent { return &Analyst{} }})
}
