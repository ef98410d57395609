package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
)

// runners are the agents with work of their own. Each runs supervised on a goroutine of the
// runtime; those in child processes run there, and their child reports when they are done.
type runners struct {
	mu      sync.Mutex
	all     []*runner
	byAgent map[string][]*runner
	cancel  context.CancelFunc
}

type runner struct {
	agent, instance string
	run             func(context.Context) error // nil: in a child
	mu              sync.Mutex
	st              State
	err             error
	once            sync.Once
	done            chan struct{}
}

func (rs *runners) add(name, instance string, run func(context.Context) error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	x := &runner{agent: name, instance: instance, run: run, st: StateStarting, done: make(chan struct{})}
	rs.all = append(rs.all, x)
	if rs.byAgent == nil {
		rs.byAgent = map[string][]*runner{}
	}
	rs.byAgent[name] = append(rs.byAgent[name], x)
}

func (x *runner) set(s State, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.st = s
	if err != nil {
		x.err = err
	}
}

// finish marks the end; nil err is success.
func (x *runner) finish(s State, err error) {
	x.set(s, err)
	x.once.Do(func() { close(x.done) })
}

func (x *runner) look() (State, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.st, x.err
}

// remote finds the runner of a child process.
func (rs *runners) remote(instance string) *runner {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	name, _, _ := strings.Cut(instance, "/")
	for _, x := range rs.byAgent[name] {
		if x.instance == instance && x.run == nil {
			return x
		}
	}
	return nil
}

// state sums up an agent's runners; empty when it has none.
func (rs *runners) state(name string) State {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var s State
	for _, x := range rs.byAgent[name] {
		if st, _ := x.look(); s == "" || st != StateDone {
			s = st
		}
	}
	return s
}

// failed joins the errors of the runners that were given up.
func (rs *runners) failed() error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var errs []error
	for _, x := range rs.all {
		if st, err := x.look(); st == StateFailed {
			errs = append(errs, fmt.Errorf("agent %s: %w", x.agent, err))
		}
	}
	return errors.Join(errs...)
}

// startRunners sets every Runner going and returns a channel that is closed when all have ended.
func (r *Runtime) startRunners(base context.Context) <-chan struct{} {
	ctx, cancel := context.WithCancel(base)
	r.runners.cancel = cancel
	all := slices.Clone(r.runners.all)
	if r.opts.Mode.calm() {
		all = nil
	}
	byName := map[string]planned{}
	for _, p := range r.plan {
		byName[p.name] = p
	}
	for _, x := range all {
		p := byName[x.agent]
		if x.run == nil {
			r.tasks.Go(func() { r.startRemote(ctx, x) })
			continue
		}
		r.tasks.Go(func() {
			x.set(StateRunning, nil)
			err := supervise.Loop(ctx, supervise.Policy(r.cfg.Restart), x.instance, r.log, r.tel.Runner(x.agent, x.run),
				func(s supervise.Status) {
					if !s.State.Final() {
						x.set(State(s.State), s.Err)
					}
				})
			switch {
			case errors.Is(err, supervise.ErrGaveUp):
				x.finish(StateFailed, err)
				r.giveUp(p, err)
			case ctx.Err() != nil:
				x.finish(StateStopped, nil)
			default:
				x.finish(StateDone, nil)
			}
		})
	}
	done := make(chan struct{})
	r.tasks.Go(func() {
		defer close(done)
		for _, x := range all {
			select {
			case <-x.done:
			case <-ctx.Done():
				return
			}
		}
	})
	return done
}

// await waits for the Runners of this process, whose context has ended: an agent is closed after
// its Run has returned.
func (rs *runners) await(ctx context.Context) error {
	rs.mu.Lock()
	all := slices.Clone(rs.all)
	rs.mu.Unlock()
	for _, x := range all {
		if st, _ := x.look(); x.run == nil || st == StateStarting {
			continue // it ends with its child, or never began
		}
		select {
		case <-x.done:
		case <-ctx.Done():
			return fmt.Errorf("the Runner of %s does not end: %w", x.instance, ctx.Err())
		}
	}
	return nil
}

// startRemote has the Runner of a child begin, now that every agent is up.
func (r *Runtime) startRemote(ctx context.Context, x *runner) {
	x.set(StateRunning, nil)
	c := r.dir.Find(x.agent)
	if c == nil {
		return // it was stopped meanwhile
	}
	for _, i := range c.Shown.Instances() {
		if s := i.Session(); i.ID == x.instance && s != nil {
			r.resume(ctx, i, s)
		}
	}
}

// resume has a child's Runner begin, if it has one and the system is up: for a child that was
// started later, by itself.
func (r *Runtime) resume(ctx context.Context, i *route.Instance, peer communicator.Peer) {
	x := r.runners.remote(i.ID)
	if x == nil || r.phase.Load() != "ready" {
		return
	}
	if st, _ := x.look(); st == StateDone || st == StateFailed {
		return // its child was started again for its tools
	}
	bounded, cancel := context.WithTimeout(ctx, r.cfg.Connect.Timeout)
	defer cancel()
	_, err := peer.Call(bounded, &agent.Call{Op: agent.OpEvent, Agent: x.agent, Name: child.TopicRun,
		Input: []byte(`{}`),
		From:  child.FromRuntime, Attempt: 1})
	if err != nil && ctx.Err() == nil {
		// The session is dead or the child is: its restart comes back here.
		r.log.Warn("a child's Runner did not begin", "instance", i.ID, "error", err)
	}
}

// runnerChanged takes what a child reports about its Runner.
func (r *Runtime) runnerChanged(x *runner, st child.RunnerStatus) {
	var why error
	if st.Error != "" {
		why = errors.New(st.Error)
	}
	switch State(st.State) {
	case StateDone:
		x.finish(StateDone, nil)
	case StateFailed:
		x.finish(StateFailed, why)
		for _, p := range r.plan {
			if p.name == x.agent {
				r.giveUp(p, why)
			}
		}
	default:
		x.set(State(st.State), why)
	}
}
