package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/pattern"
)

// Editor has one tool, which is the pipeline.
type Editor struct {
	Text string `json:"text"` // what Run sends through it

	env agent.Env
}

// Start implements agent.Starter.
func (e *Editor) Start(_ context.Context, env agent.Env) error { e.env = env; return nil }

// Capabilities implements agent.Agent.
func (e *Editor) Capabilities() agent.Capabilities {
	words := func(d *Draft) any { return Words{d.Words} }
	stages := pattern.Sequence(
		pattern.Ask("reader.split", func(d *Draft) any { return Text{d.Text} },
			func(d *Draft, words []string) { d.Words = words }),
		pattern.Together( // each writes a field of its own
			pattern.Ask("counter.frequent", words, func(d *Draft, w []string) { d.Frequent = w }),
			pattern.Ask("measurer.longest", words, func(d *Draft, w string) { d.Longest = w }),
		),
		pattern.Ask("writer.write", func(d *Draft) any { return d },
			func(d *Draft, report string) { d.report = report }),
	)
	report := func(ctx context.Context, in Text) (string, error) {
		d, err := stages(ctx, Draft{Text: in.Text})
		return d.report, err
	}
	return agent.Capabilities{
		Tools: []agent.Tool{agent.NewTool("report", "Report on a text.", report)},
		Requires: []agent.Requirement{agent.Require("reader.split"), agent.Require("counter.frequent"),
			agent.Require("measurer.longest"), agent.Require("writer.write")},
	}
}

// Run implements agent.Runner: it calls the pipeline as anybody would, and shows how far it is.
func (e *Editor) Run(ctx context.Context) error {
	watch := agent.OnProgress(func(p agent.ProgressNotice) {
		line := fmt.Sprintf("%3.0f %%  %s", 100*p.Progress/p.Total, p.Message)
		_, _ = fmt.Fprintln(e.env.Output, strings.TrimSpace(line)) // the report is what matters
	})
	report, err := agent.Ask[string](ctx, "editor.report", Text{e.Text}, watch)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.env.Output, "\n%s\n", report)
	return err
}
