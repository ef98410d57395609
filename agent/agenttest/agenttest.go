// Package agenttest runs agents in memory for their unit tests, scripts their peers, and shows what
// was called.
//
//	sys := agenttest.Run(t, agenttest.Agents{
//		"weather": &Weather{Unit: "C"},
//		"geo":     agenttest.Script{"locate": Position{Lat: 46.9, Lon: 7.4}},
//	})
//	got, err := agent.Ask[Forecast](sys.Ctx(), "weather.forecast", City{Name: "Bern"})
//	...
//	asked := agenttest.Inputs[City](sys, "geo.locate")
//
// Calls travel over [communicator.Local], events over a small in-memory broker; nothing needs a
// network, a file outside the test's folder, or the real clock: a System works inside
// testing/synctest.
package agenttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

const (
	// Caller is the name under which the test itself calls.
	Caller = "test"

	maxDepth  = 16 // the runtime's default: agents that call each other in a circle fail here as they do there
	closeTime = 10 * time.Second
)

// Agents maps names to agents; a [Script] is one.
type Agents map[string]agent.Agent

// An Option changes how a System runs.
type Option func(*System)

// ByHand leaves the Runners alone: the test calls [System.RunAgent].
func ByHand() Option { return func(s *System) { s.byHand = true } }

// System is a set of agents that run. It may be used concurrently.
type System struct {
	t      testing.TB
	local  *communicator.Local
	byHand bool
	rec    recorder
	broker broker
	output syncBuffer

	ctx    context.Context // of everything; the Runners' is below it
	cancel context.CancelFunc
	runCtx context.Context
	rest   context.CancelFunc // ends runCtx
	close  func() error

	mu     sync.RWMutex
	order  []*running // as they were started
	agents map[string]*running
}

// running is one agent of a System.
type running struct {
	name    string
	agent   agent.Agent
	host    *agent.Host
	binding communicator.Binding
	wg      conc.WaitGroup
	done    chan struct{} // its Run has returned; nil without one
	err     error         // what Run gave
	waited  atomic.Bool   // the test has asked for err
}

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
	s := &System{t: t, local: communicator.NewLocal(), agents: map[string]*running{}}
	// which ends before t.Cleanup, and so before what is under way
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(t.Context()))
	s.runCtx, s.rest = context.WithCancel(s.ctx)
	s.broker.sys = s
	s.close = sync.OnceValue(s.stop)
	for _, o := range opts {
		o(s)
	}
	t.Cleanup(s.Close)
	caps := map[string]agent.Capabilities{}
	for name, a := range agents {
		if a == nil {
			return nil, fmt.Errorf("agent %q is nil", name)
		}
		caps[name] = a.Capabilities()
	}
	order, err := startOrder(caps)
	if err != nil {
		return nil, err
	}
	for _, name := range order {
		if err := s.start(name, agents[name], caps[name]); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if !s.byHand {
		for _, r := range s.order {
			s.background(r)
		}
	}
	return s, nil
}

func (s *System) start(name string, a agent.Agent, caps agent.Capabilities) error {
	env := agent.Env{Name: name, Instance: name + "/0", Directory: directory{s}, Publisher: &s.broker,
		StateDir: s.t.TempDir(), Output: &s.output,
		Logger: slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("agent",
			name)}
	h, err := agent.NewHost(env, caps)
	if err != nil {
		return err
	}
	r := &running{name: name, agent: a, host: h}
	if st, ok := a.(agent.Starter); ok {
		if err := st.Start(agent.WithEnv(s.ctx, env), env); err != nil {
			return fmt.Errorf("start agent %q: %w", name, err)
		}
	}
	s.mu.Lock()
	s.agents[name], s.order = r, append(s.order, r)
	s.mu.Unlock()
	if r.binding, err = s.local.Serve(s.ctx, h); err != nil {
		return fmt.Errorf("serve agent %q: %w", name, err)
	}
	s.broker.listen(h)
	return nil
}

// background runs the agent's Runner, if it is one, once.
func (s *System) background(r *running) {
	if _, ok := r.agent.(agent.Runner); !ok {
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
	runner, ok := r.agent.(agent.Runner)
	if !ok {
		return fmt.Errorf("agent %q has no Run", name)
	}
	var err error
	if p := panics.Try(func() { err = runner.Run(agent.WithEnv(ctx, r.host.Env())) }); p != nil {
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

func (s *System) lookup(name string) *running {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.agents[name]
}

func (s *System) get(name string) *running {
	s.t.Helper()
	r := s.lookup(name)
	if r == nil {
		s.t.Fatalf("there is no agent %q in this system", name)
	}
	return r
}

// Ctx is the context in which the test calls: agent.Ask[Out](sys.Ctx(), "weather.forecast", in).
// Derive from it for deadlines, cancellation, and a back-channel (agent.WithBackChannel). It ends
// with the test.
func (s *System) Ctx() context.Context {
	return agent.WithEnv(s.ctx, agent.Env{Name: Caller, Directory: directory{s}, Publisher: &s.broker,
		Output: &s.output})
}

// Output is what the agents wrote to their Env.Output so far.
func (s *System) Output() string { return s.output.String() }

// Close ends the system as its test's end does: Runners are cancelled and waited for, events
// handled, calls in flight answered, agents closed in reverse order of their start. Only the first
// call counts.
func (s *System) Close() {
	s.t.Helper()
	if err := s.close(); err != nil {
		s.t.Error(err)
	}
}

func (s *System) stop() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), closeTime)
	defer cancel()
	defer s.cancel()
	defer context.AfterFunc(ctx, s.cancel)() // what does not end by itself
	s.rest()
	var errs []error
	for _, r := range s.order {
		r.wg.Wait()
		if r.err != nil && !r.waited.Load() && !errors.Is(r.err, context.Canceled) {
			errs = append(errs, r.err)
		}
	}
	s.broker.close()
	for _, r := range slices.Backward(s.order) {
		if r.binding != nil {
			errs = append(errs, wrap("withdraw", r.name, r.binding.Close(ctx)))
		}
		if c, ok := r.agent.(agent.Closer); ok {
			errs = append(errs, wrap("close", r.name, c.Close(agent.WithEnv(ctx, r.host.Env()))))
		}
	}
	return errors.Join(append(errs, s.local.Close(ctx))...)
}

func wrap(what, name string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s agent %q: %w", what, name, err)
	}
	return err
}

// syncBuffer is a buffer that many may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
