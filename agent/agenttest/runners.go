package agenttest

import (
	"context"
	"fmt"

	"github.com/sourcegraph/conc/panics"
)

// background runs the agent's Runner, if it is one, once.
func (s *System) background(r *running) {
	if r.Runner() == nil {
		return
	}
	r.done = make(chan struct{})
	r.wg.Go(func() {
		defer close(r.done)
		r.err = s.RunAgent(s.runCtx, r.name)
	})
}

// RunAgent runs the agent's Run until it returns; a panic is an error. The test calls it where
// [ByHand] left that to it.
func (s *System) RunAgent(ctx context.Context, name string) error {
	s.t.Helper()
	r := s.get(name)
	run := r.Runner()
	if run == nil {
		return fmt.Errorf("agent %q has no Run", name)
	}
	var err error
	if p := panics.Try(func() { err = run(ctx) }); p != nil {
		err = p.AsError()
	}
	if err != nil {
		return fmt.Errorf("run agent %q: %w", name, err)
	}
	return nil
}

// Wait waits until the agent's Run, which goes on in the background, has returned, and gives its
// error.
func (s *System) Wait(name string) error {
	s.t.Helper()
	r := s.get(name)
	if r.done == nil {
		s.t.Fatalf("agent %q does not run in the background", name)
	}
	<-r.done
	r.waited.Store(true)
	return r.err
}
