package agenttest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/lifecycle"
)

// Run starts the agents, those that others require first, and runs their Runners in the background;
// the end of the test closes everything in reverse order. A failing Start, a requirement that
// nobody provides, a Runner's error that no [System.Wait] fetched, a failing Close: each fails the
// test.
func Run(t testing.TB, agents Agents, opts ...Option) *System {
	t.Helper()
	s, err := Start(t, agents, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Start is [Run] for a test that expects the start to fail.
func Start(t testing.TB, agents Agents, opts ...Option) (*System, error) {
	t.Helper()
	s := &System{t: t, over: communicator.NewLocal(), timeout: calls.DefaultTimeout, agents: map[string]*running{},
		log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	// which ends before t.Cleanup, and so before what is under way
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(t.Context()))
	s.runCtx, s.endRun = context.WithCancel(s.ctx)
	s.broker.ctx, s.broker.record, s.broker.note, s.broker.log = s.ctx, s.rec.record, s.rec.publish, s.log
	s.close = sync.OnceValue(s.stop)
	for _, o := range opts {
		o(s)
	}
	t.Cleanup(s.Close)
	order, err := s.plan(agents)
	if err != nil {
		return nil, err
	}
	for _, r := range order {
		if err := s.start(r); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if !s.byHand {
		for _, r := range s.order {
			r.background(s.runCtx)
		}
	}
	return s, nil
}

// plan asks the agents what they offer and require, and puts them in the order of their start.
func (s *System) plan(agents Agents) ([]*running, error) {
	all, requires := make(map[string]*running, len(agents)), make(map[string][]string, len(agents))
	for _, name := range slices.Sorted(maps.Keys(agents)) {
		if agents[name] == nil {
			return nil, fmt.Errorf("agent %q is nil", name)
		}
		i, err := lifecycle.New(agents[name], s.env(name))
		if err != nil {
			return nil, err
		}
		all[name] = &running{Instance: i, name: name}
		if script, ok := agents[name].(Script); ok {
			s.expect(name, script)
		}
	}
	var errs []error
	for name, r := range all {
		requires[name] = nil
		for _, req := range r.Requires() {
			requires[name] = append(requires[name], req.Agent())
			if c := all[req.Agent()]; c == nil || req.Tool() != "" && !offers(c.Host, req.Tool()) {
				errs = append(errs, fmt.Errorf("agent %q requires %q, which nobody here provides: script it "+
					"(agenttest.Script)", name, req))
			}
		}
	}
	places, circles := lifecycle.StartOrder(requires)
	for _, c := range circles {
		s.t.Logf("agents require each other in a circle, and start by name: %s", strings.Join(c, ", "))
	}
	order := make([]*running, len(places))
	for i, p := range places {
		order[i] = all[p.Name]
	}
	return order, errors.Join(errs...)
}

// expect has the end of the system check the calls that a script's tools must get.
func (s *System) expect(name string, script Script) {
	for _, tool := range slices.Sorted(maps.Keys(script)) {
		if e, ok := script[tool].(*Expectations); ok {
			s.checks = append(s.checks, func() error { return e.verify(name + "." + tool) })
		}
	}
}

func offers(h *agent.Host, tool string) bool { _, ok := h.Info().Tool(tool); return ok }

func (s *System) env(name string) agent.Env {
	return agent.Env{Name: name, Instance: name + "/0", Directory: directory{s}, Publisher: &s.broker,
		StateDir: s.t.TempDir(), Output: &s.output, Logger: s.log.With("agent", name)}
}

// start brings an agent up as the runtime does: its Start, its tools, its subscriptions.
func (s *System) start(r *running) error {
	if err := r.Start(s.ctx); err != nil {
		return err
	}
	s.undo.Add("agent "+r.name, r.Close)
	binding, err := s.over.Serve(s.ctx, &life{Host: r.Host})
	if err != nil {
		return err
	}
	s.undo.Add("calls of "+r.name, binding.Close)
	peer, err := s.over.Dial(s.ctx, r.name)
	if err != nil {
		return err
	}
	r.chain = agent.Chain(peer, calls.Limit(s.timeout, "agenttest.CallTimeout"))
	s.mu.Lock()
	s.agents[r.name], s.order = r, append(s.order, r)
	s.mu.Unlock()
	for _, e := range r.Host.Info().Subscriptions {
		s.undo.Add("the events "+e.Topic+" of "+r.name, s.broker.subscribe(r.name, r.chain, e.Topic))
	}
	return nil
}
