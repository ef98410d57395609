package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// An export offers an agent of this process, however it is reached here, to the other processes.
type export struct {
	callee   *route.Callee
	served   agent.Caller
	gate     calls.Gate
	draining func() bool
	halted   atomic.Bool // all instances here are stopped, or about to be: see Cluster.Leave

	mu      sync.Mutex
	binding communicator.Binding // nil: the other processes have the calls
	closed  bool                 // for good
}

// exports are the agents that this process offers to the others.
type exports struct {
	broker   communicator.Communicator
	serve    func(*route.Callee) agent.Caller
	draining func() bool
	changed  func() // announces what is here
	log      *slog.Logger

	mu  sync.Mutex
	all []*export
	// handOver is waited for while Run goes on, which may not add to it.
	handOver conc.WaitGroup
}

// list returns those that there are now.
func (x *exports) list() []*export {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.all)
}

// Export serves an agent of this process on the broker, and announces it, until that is undone, or
// another one takes its place: the broker must be one in which a name can be served anew. The calls
// of other processes go straight to its instances: the caller's process retries.
func (x *exports) Export(ctx context.Context, to *route.Callee, undo *lifecycle.Undo) error {
	e := &export{callee: to, served: x.serve(to), draining: x.draining}
	if e.binding = to.Binding; to.Over != project.OverPubSub { // else it is there already
		var err error
		if e.binding, err = x.broker.Serve(ctx, e); err != nil {
			return err
		}
	}
	undo.Add("agent "+to.Name+" for other processes", func(ctx context.Context) error {
		if b := e.end(); b != nil && b != to.Binding { // which whoever has made it closes
			return b.Close(ctx)
		}
		return nil
	})
	x.mu.Lock()
	x.all = append(slices.DeleteFunc(x.all, func(old *export) bool { return old.callee.Name == to.Name }), e)
	x.mu.Unlock()
	x.changed()
	undo.Add("the announcement of "+to.Name, func(context.Context) error { x.withdraw(e); return nil })
	return nil
}

// withdraw announces that an agent is not here any more, before it is closed.
func (x *exports) withdraw(e *export) {
	x.mu.Lock()
	x.all = slices.DeleteFunc(x.all, func(other *export) bool { return other == e })
	x.mu.Unlock()
	x.changed()
}

func (x *exports) find(name string) *export {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := slices.IndexFunc(x.all, func(e *export) bool { return e.callee.Name == name }); n >= 0 {
		return x.all[n]
	}
	return nil
}

// left are the agents whose instances here are all stopped.
func (x *exports) left() map[string]bool {
	left := map[string]bool{}
	for _, e := range x.list() {
		if e.halted.Load() {
			left[e.callee.Name] = true
		}
	}
	return left
}

// divert has the calls of each agent go to what there is of it elsewhere while its instances here
// are stopped, and come here else. It reports whether all are served that should be. ends are
// bindings that wait for the calls they have.
func (x *exports) divert(ctx context.Context, elsewhere func(name string) *route.Callee, ends *conc.WaitGroup) bool {
	all := true
	for _, e := range x.list() {
		left, err := e.divert(ctx, x.broker, elsewhere)
		if err != nil {
			all = false
			x.log.Warn("an agent that was started again cannot be offered to other processes yet", "agent",
				e.callee.Name, "again in", askAgain, "error", err)
		}
		if left != nil {
			x.log.Info("the calls of an agent go to another process while it is stopped here", "agent", e.callee.Name)
			ends.Go(func() {
				if err := left.Close(ctx); err != nil {
					x.log.Debug("leave an agent to another process", "agent", e.callee.Name, "error", err)
				}
			})
		}
	}
	return all
}

// divert returns the binding that is to be closed, if calls are to come no more.
func (e *export) divert(ctx context.Context, broker communicator.Communicator,
	elsewhere func(name string) *route.Callee) (left communicator.Binding, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var to *route.Callee
	if e.halted.Load() {
		to = elsewhere(e.callee.Name)
	}
	if e.callee.Over != project.OverPubSub { // else our own calls go over the broker in any case
		e.callee.Divert(to)
	}
	switch {
	case to != nil:
		left, e.binding = e.binding, nil
	case e.binding == nil && !e.closed:
		e.binding, err = broker.Serve(ctx, e.service())
	}
	return left, err
}

// service is what other processes call.
func (e *export) service() communicator.Service {
	if e.callee.Over == project.OverPubSub {
		return e.callee.Service
	}
	return e
}

// away reports whether other processes have the calls.
func (e *export) away() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.binding == nil
}

// end returns what is to be closed for good; nil: nothing is any more.
func (e *export) end() communicator.Binding {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.binding
	e.binding, e.closed = nil, true
	return b
}

// leaveTo leaves the calls that are still to come to the other processes, where those host the same
// agents.
func (x *exports) leaveTo(ctx context.Context, elsewhere map[string]bool) {
	for _, e := range x.list() {
		if !elsewhere[e.callee.Name] {
			continue
		}
		x.withdraw(e)
		binding := e.end()
		if binding == nil {
			continue
		}
		x.handOver.Go(func() {
			if err := binding.Close(ctx); err != nil {
				x.log.Debug("hand over", "agent", e.callee.Name, "error", err)
			}
		})
	}
}

// AwaitHandOver returns when HandOver's ctx has ended, or what it began.
func (x *exports) AwaitHandOver() { x.handOver.Wait() }

// AwaitQuiet waits until no call of another process is in flight here.
func (x *exports) AwaitQuiet(ctx context.Context) error {
	exports := x.list()
	left := make(chan struct{}, 1)
	for _, e := range exports {
		e.onLeave(func() {
			select {
			case left <- struct{}{}:
			default: // somebody is about to look
			}
		})
	}
	for {
		n := 0
		for _, e := range exports {
			n += e.inFlight()
		}
		if n == 0 {
			return nil
		}
		select {
		case <-left:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d calls of other processes still in flight", n), ctx.Err())
		}
	}
}

func (e *export) onLeave(f func()) {
	e.gate.OnLeave(f)
	for _, i := range e.callee.Shown.Instances() {
		i.OnLeave(f)
	}
}

// inFlight counts the calls of other processes. What is reached over the broker here too gets
// theirs and our own in the same way: those are told apart by counting ours where they set out.
func (e *export) inFlight() int {
	if e.callee.Over != project.OverPubSub {
		return e.gate.InFlight()
	}
	n := -e.callee.UnderWay()
	for _, i := range e.callee.Shown.Instances() {
		n += i.InFlight()
	}
	return max(n, 0)
}

// Info implements communicator.Service.
func (e *export) Info() agent.Info { return e.callee.Info() }

// Call implements agent.Caller. While the system drains, work that is new is refused; what belongs
// to work in flight goes on.
func (e *export) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if call.Depth == 0 && e.draining() {
		err := agent.Refusedf(agent.CodeUnavailable, "%s: the process is stopping", call.Target())
		err.RetryAfter = 100 * time.Millisecond
		return nil, err
	}
	if !e.gate.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the process has stopped", call.Target())
	}
	defer e.gate.Leave()
	return e.served.Call(ctx, call)
}
