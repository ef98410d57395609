package agenttest

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/lifecycle"
)

// running is one agent of a System.
type running struct {
	*lifecycle.Instance
	name   string
	chain  agent.Caller // reaches it
	wg     conc.WaitGroup
	done   chan struct{} // its Run has returned; nil without one
	err    error         // what Run gave
	waited atomic.Bool   // the test has asked for err
}

// background runs the agent's Runner, if it is one, once.
func (r *running) background(ctx context.Context) {
	if r.Runner() == nil {
		return
	}
	r.done = make(chan struct{})
	r.wg.Go(func() {
		defer close(r.done)
		r.err = r.run(ctx)
	})
}

// run runs the agent's Run until it returns; a panic is an error.
func (r *running) run(ctx context.Context) error {
	run := r.Runner()
	if run == nil {
		return fmt.Errorf("agent %q has no Run", r.name)
	}
	var err error
	if p := panics.Try(func() { err = run(ctx) }); p != nil {
		err = p.AsError()
	}
	if err != nil {
		return fmt.Errorf("run agent %q: %w", r.name, err)
	}
	return nil
}
