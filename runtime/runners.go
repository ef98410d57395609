package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
)

// startRunners sets every Runner going and returns a channel that is closed when all have ended by
// themselves.
func (r *Runtime) startRunners(base context.Context) <-chan struct{} {
	ctx, all := r.runners.open(base)
	if r.opts.Mode.calm() {
		all = nil
	}
	agents := r.now.Load().agents
	for _, x := range all {
		if x.run == nil {
			r.tasks.Go(func() { r.startRemote(ctx, x) })
			continue
		}
		r.startRunner(*agents[x.agent], x)
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

// startRunner sets the Runner of an agent in this process going.
func (r *Runtime) startRunner(p planned, x *runner) {
	if r.opts.Mode.calm() {
		return
	}
	ctx, ended := r.runners.begin(x)
	if ctx == nil {
		return
	}
	run := x.run
	r.tasks.Go(func() {
		defer ended()
		log := r.log.With("agent", x.agent, "instance", x.instance)
		err := supervise.Loop(ctx, r.restarts(p), x.instance, log, r.tel.Runner(x.agent, run),
			func(s supervise.Status) {
				if !s.State.Final() {
					x.set(State(s.State), s.Err)
				}
				r.crashed(p, x.instance, crashes.Runner, s)
				if s.State == supervise.Running && s.Restarts > 0 {
					r.onBack(p)
				}
			})
		switch {
		case errors.Is(err, supervise.ErrGaveUp):
			x.finish(StateFailed, err)
			r.giveUp(p, err)
		case ctx.Err() != nil:
			x.set(StateStopped, nil)
		default:
			x.finish(StateDone, nil)
		}
	})
}

// restarts is how often what an agent has is restarted. A run that is to have an end does not rest
// between restarts of a Runner: whoever waits for the end wants its error.
func (r *Runtime) restarts(p planned) supervise.Policy {
	policy := supervise.Policy(p.of.Restart)
	if r.opts.Mode == ModeOnce && p.runner {
		policy.GiveUpAfter = 0
	}
	return policy
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
	if p := r.now.Load().agents[x.agent]; p != nil && why != nil {
		s := supervise.Status{State: st.State, Restarts: st.Restarts, Wait: st.Wait, Err: why}
		if st.Stack != "" {
			s.Err = &supervise.PanicError{Value: strings.TrimPrefix(st.Error, "panic: "), Stack: []byte(st.Stack)}
		}
		r.crashed(*p, x.instance, crashes.Runner, s)
	}
	switch State(st.State) {
	case StateDone:
		x.finish(StateDone, nil)
	case StateFailed:
		x.finish(StateFailed, why)
		if p := r.now.Load().agents[x.agent]; p != nil {
			r.giveUp(*p, why)
		}
	default:
		x.set(State(st.State), why)
	}
}

// giveUp is called when an agent is not restarted any more. A critical one ends the run.
func (r *Runtime) giveUp(p planned, err error) {
	r.log.Error("agent has failed for good", "agent", p.name, "critical", p.cfg.Critical, "error", err)
	if p.cfg.Critical {
		r.fail(fmt.Errorf("critical agent %s: %w", p.name, err))
	}
}
