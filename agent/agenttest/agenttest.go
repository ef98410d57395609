package agenttest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/nearest"
)

// Caller is the name under which the test itself calls.
const Caller = "test"

// closeTime bounds the end of a System.
const closeTime = 10 * time.Second

// Agents maps names to agents; a [Script] is one.
type Agents map[string]agent.Agent

// An Option changes how a System runs.
type Option func(*System)

// ByHand leaves the Runners alone: the test calls [System.RunAgent].
func ByHand() Option { return func(s *System) { s.byHand = true } }

// CallTimeout is the deadline of each call, as the project file's timeout is. Default 30 s.
func CallTimeout(d time.Duration) Option { return func(s *System) { s.timeout = d } }

// Over has the calls travel over c, which the System closes, in place of in process. Package wire
// makes one of each kind. Events do not travel over it.
func Over(c communicator.Communicator) Option { return func(s *System) { s.over = c } }

// System is a set of agents that run. It may be used concurrently.
type System struct {
	t       testing.TB
	over    communicator.Communicator // which carries the calls
	log     *slog.Logger
	byHand  bool
	timeout time.Duration
	rec     recorder
	broker  broker
	output  syncBuffer
	back    agent.BackChannelFuncs // what answers the questions to the test

	ctx    context.Context // of everything; the Runners' is below it
	cancel context.CancelFunc
	runCtx context.Context
	endRun context.CancelFunc
	close  func() error

	undo   lifecycle.Undo
	checks []func() error // after the end: what the test expects

	mu     sync.RWMutex
	order  []*running // as they were started
	agents map[string]*running
}

func (s *System) lookup(name string) *running {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.agents[name]
}

func (s *System) names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Keys(s.agents))
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
// with the test. [OnElicit], [OnElicitURL] and [OnSample] answer what is asked of it.
func (s *System) Ctx() context.Context {
	ctx := agent.WithEnv(s.ctx, agent.Env{Name: Caller, Directory: directory{s}, Publisher: &s.broker,
		Output: &s.output})
	if s.back.Elicit != nil || s.back.ElicitURL != nil || s.back.Sample != nil {
		ctx = agent.WithBackChannel(ctx, s.back)
	}
	return ctx
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
	s.endRun()
	var errs []error
	for _, r := range s.order {
		r.wg.Wait()
		if r.err != nil && !r.waited.Load() && !errors.Is(r.err, context.Canceled) {
			errs = append(errs, r.err)
		}
	}
	errs = append(errs, s.undo.Run(ctx), s.over.Close(ctx))
	for _, check := range s.checks {
		errs = append(errs, check())
	}
	return errors.Join(errs...)
}

// directory reaches the agents of a System and records what goes there.
type directory struct{ s *System }

// Calls are the calls so far of "agent.tool", or of a whole "agent", or, without a target, of all,
// in the order in which they began. An event that was delivered is a call too: "agent.topic".
func (s *System) Calls(target ...string) []Call {
	return s.rec.list(target)
}

// Inputs are the inputs of [System.Calls] to the target, decoded; one that does not decode fails
// the test.
func Inputs[In any](s *System, target string) []In {
	s.t.Helper()
	var out []In
	for _, c := range s.Calls(target) {
		var in In
		if len(c.Input) > 0 {
			if err := json.Unmarshal(c.Input, &in); err != nil {
				s.t.Fatalf("the input %s of %s does not decode into %T: %v", c.Input, target, in, err)
			}
		}
		out = append(out, in)
	}
	return out
}

// Settle waits until every event published so far, and every one that its handling published in
// turn, has been handled.
func (s *System) Settle() { s.broker.settle() }

// Published are the events of the topic so far, or of all topics without one, in order.
func (s *System) Published(topic ...string) []agent.Event {
	return s.broker.list(topic)
}

// RunAgent runs the agent's Run until it returns; a panic is an error. The test calls it where
// [ByHand] left that to it.
func (s *System) RunAgent(ctx context.Context, name string) error {
	s.t.Helper()
	return s.get(name).run(ctx)
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

func (d directory) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return d.s.rec.record(ctx, c, agent.CallerFunc(d.route))
}

func (d directory) route(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	r := d.s.lookup(c.Agent)
	if r == nil {
		return nil, agent.Refusedf(agent.CodeNotFound, "there is no agent %q%s", c.Agent,
			nearest.Meant(c.Agent, d.s.names()))
	}
	return r.chain.Call(ctx, c)
}

func (d directory) Agents() []agent.Info {
	d.s.mu.RLock()
	defer d.s.mu.RUnlock()
	var all []agent.Info
	for _, name := range slices.Sorted(maps.Keys(d.s.agents)) {
		all = append(all, d.s.agents[name].Host.Info())
	}
	return all
}

func (d directory) Agent(name string) (agent.Info, bool) {
	if r := d.s.lookup(name); r != nil {
		return r.Host.Info(), true
	}
	return agent.Info{}, false
}
