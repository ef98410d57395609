package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// runners are the agents with work of their own. Each runs supervised on a goroutine of the
// runtime; those in child processes run there, and their child reports when they are done.
type runners struct {
	mu      sync.Mutex
	all     []*runner
	byAgent map[string][]*runner
	// ctx ends all; nil: they have not begun.
	ctx    context.Context
	cancel context.CancelFunc
}

type runner struct {
	agent, instance string
	run             func(context.Context) error // nil: in a child
	mu              sync.Mutex
	st              State
	err             error
	// end ends the Run that goes on, and ended is closed when it has returned; nil: none has begun.
	end   context.CancelFunc
	ended chan struct{}
	once  sync.Once
	done  chan struct{} // closed when it has ended by itself
}

func newRunner(name, instance string, run func(context.Context) error) *runner {
	return &runner{agent: name, instance: instance, run: run, st: StateStarting, done: make(chan struct{})}
}

// join adds Runners, which do not begin by that.
func (rs *runners) join(more ...*runner) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.byAgent == nil {
		rs.byAgent = map[string][]*runner{}
	}
	for _, x := range more {
		rs.all = append(rs.all, x)
		rs.byAgent[x.agent] = append(rs.byAgent[x.agent], x)
	}
}

// leave takes Runners out that have ended.
func (rs *runners) leave(gone ...*runner) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	is := func(x *runner) bool { return slices.Contains(gone, x) }
	rs.all = slices.DeleteFunc(slices.Clone(rs.all), is)
	for _, x := range gone {
		rs.byAgent[x.agent] = slices.DeleteFunc(slices.Clone(rs.byAgent[x.agent]), is)
	}
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

// open lets Runners begin, until cancel or the end of base, and returns those that there are.
func (rs *runners) open(base context.Context) (context.Context, []*runner) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.ctx, rs.cancel = context.WithCancel(base)
	return rs.ctx, slices.Clone(rs.all)
}

// context is that of all Runners; nil: they have not begun.
func (rs *runners) context() context.Context {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.ctx
}

// begin notes that a Run begins, for which ctx is; nil: Runners do not begin, yet or any more.
func (rs *runners) begin(x *runner) (ctx context.Context, ended func()) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if rs.ctx == nil || rs.ctx.Err() != nil {
		return nil, nil
	}
	over := make(chan struct{})
	ctx, x.end = context.WithCancel(rs.ctx)
	x.ended, x.st, x.err = over, StateRunning, nil
	return ctx, func() { close(over) }
}

// stop ends the Run that goes on, if any, and returns when it has returned or ctx ends.
func (x *runner) stop(ctx context.Context) error {
	x.mu.Lock()
	end, ended := x.end, x.ended
	x.mu.Unlock()
	if ended == nil {
		return nil
	}
	end()
	return x.await(ctx, ended)
}

// over waits for the end of the Run that goes on in this process, if any.
func (x *runner) over(ctx context.Context) error {
	x.mu.Lock()
	ended := x.ended
	x.mu.Unlock()
	if ended == nil {
		return nil
	}
	return x.await(ctx, ended)
}

func (x *runner) await(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil
	default:
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the Runner of %s does not end: %w", x.instance, ctx.Err())
	}
}

// reset forgets how the runner of a child process has ended: it begins anew with its process.
func (rs *runners) reset(instance string, s State) {
	if x := rs.remote(instance); x != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.st, x.err = s, nil
	}
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

// await waits for the Runners of this process, whose context has ended: an agent is closed after
// its Run has returned.
func (rs *runners) await(ctx context.Context) error {
	rs.mu.Lock()
	all := slices.Clone(rs.all)
	rs.mu.Unlock()
	for _, x := range all {
		x.mu.Lock()
		ended := x.ended
		x.mu.Unlock()
		if ended == nil {
			continue // it ends with its child, or never began
		}
		if err := x.await(ctx, ended); err != nil {
			return err
		}
	}
	return nil
}
