package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
)

// batch is how many files go into one call: enough to make the call's cost small, few enough to
// share the work.
const batch = 40

// Editor asks the rest of the crew, ranks what they found, and writes the report.
type Editor struct {
	Root   string `json:"root"`    // what Run reviews, relative to the project file
	Top    int    `json:"top"`     // how many hot spots
	AtOnce int    `json:"at_once"` // calls in flight

	env   agent.Env
	found atomic.Int64 // file.found events so far
}

// Capabilities implements agent.Agent.
func (e *Editor) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Reviews a Go source tree with the help of the crew.",
		Tools: []agent.Tool{agent.NewTool("review", "Review a Go source tree: rank its hot spots, complexity times "+
			"churn.", e.Review,
			agent.ReadOnly())},
		Prompts: []agent.Prompt{agent.NewPrompt("explain-hot-spot", "Ask a model why a file is a hot spot, and "+
			"what to do.", func(_ context.Context, q HotSpotQuestion) (*agent.PromptResult, error) {
			return e.report().explain(q)
		})},
		Resources: []agent.Resource{agent.NewResource("review://latest", "latest review", "The report of the last "+
			"review.", "text/markdown", func(context.Context) (string, error) { return e.report().read() })},
		Subscriptions: []agent.Subscription{agent.On("file.found", func(context.Context, Found) error {
			e.found.Add(1)
			return nil
		})},
		Requires: []agent.Requirement{agent.Require("collector.files"), agent.Require("complexity.measure"),
			agent.Require("linter.lint"), agent.Require("historian.churn")},
	}
}

// Start implements agent.Starter.
func (e *Editor) Start(_ context.Context, env agent.Env) error { e.env = env; return nil }

// Run implements agent.Runner: one review of the configured tree, printed.
func (e *Editor) Run(ctx context.Context) error {
	r, err := e.Review(ctx, Tree{Root: e.Root})
	if err != nil {
		return err
	}
	return printReview(ctx, e.env.Output, r, string(e.report()))
}

// Review asks everybody and writes the report. Reviews of several trees may go on at once.
func (e *Editor) Review(ctx context.Context, t Tree) (*Review, error) {
	if !filepath.IsAbs(t.Root) {
		t.Root = filepath.Join(e.env.Dir, t.Root)
	}
	files, err := agent.Ask[Files](ctx, "collector.files", t)
	if err != nil {
		return nil, err
	}
	r := newReview(t.Root, files)
	batches := pool.New().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(e.AtOnce)
	var done atomic.Int64
	for first := 0; first < len(files.Paths); first += batch {
		b := Batch{Root: t.Root, Paths: files.Paths[first:min(first+batch, len(files.Paths))]}
		batches.Go(func(ctx context.Context) error {
			if err := examine(ctx, r, b); err != nil {
				return err
			}
			agent.Progress(ctx, float64(done.Add(int64(len(b.Paths)))), float64(len(files.Paths)),
				fmt.Sprintf("files examined, %d found", e.found.Load()))
			return nil
		})
	}
	if err := batches.Wait(); err != nil {
		return nil, err
	}
	r.rank(e.Top)
	if err := e.report().replace(r.Markdown()); err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	return r, nil
}

// examine has three agents look at some files at the same time.
func examine(ctx context.Context, r *Review, b Batch) error {
	p := pool.New().WithContext(ctx).WithCancelOnError().WithFirstError()
	p.Go(func(ctx context.Context) error {
		m, err := agent.Ask[Measures](ctx, "complexity.measure", b)
		r.measured(m)
		return err
	})
	p.Go(func(ctx context.Context) error {
		f, err := agent.Ask[Findings](ctx, "linter.lint", b)
		r.linted(f)
		return err
	})
	p.Go(func(ctx context.Context) error {
		h, err := agent.Ask[History](ctx, "historian.churn", b)
		r.dated(h)
		return err
	})
	return p.Wait()
}

func (e *Editor) report() report { return report(filepath.Join(e.env.StateDir, "review.md")) }
