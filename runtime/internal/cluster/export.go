package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
	binding  communicator.Binding
	served   agent.Caller
	gate     calls.Gate
	draining func() bool
}

// Export serves an agent of this process on the broker, and announces it, until that is undone. The
// calls of other processes go straight to its instances: the caller's process retries.
func (c *Cluster) Export(ctx context.Context, to *route.Callee, undo *lifecycle.Undo) error {
	e := &export{callee: to, served: c.o.Serve(to), draining: c.o.Draining}
	if e.binding = to.Binding; to.Over != project.OverPubSub { // else it is there already
		var err error
		if e.binding, err = c.o.Broker.Serve(ctx, e); err != nil {
			return err
		}
		undo.Add("agent "+to.Name+" for other processes", e.binding.Close)
	}
	c.mu.Lock()
	c.exports = append(c.exports, e)
	c.mu.Unlock()
	c.presence.Changed()
	undo.Add("the announcement of "+to.Name, func(context.Context) error { c.withdraw(e); return nil })
	return nil
}

// withdraw announces that an agent is not here any more, before it is closed.
func (c *Cluster) withdraw(e *export) {
	c.mu.Lock()
	c.exports = slices.DeleteFunc(c.exports, func(x *export) bool { return x == e })
	c.mu.Unlock()
	c.presence.Changed()
}

// HandOver leaves the calls that are still to come to the other processes, where those host the
// same agents. Calls in flight end here: AwaitHandOver waits for them.
func (c *Cluster) HandOver(ctx context.Context) {
	elsewhere := map[string]bool{}
	for _, m := range c.Members() {
		for _, x := range m.Agents {
			elsewhere[x.Name] = true
		}
	}
	c.mu.Lock()
	exports := slices.Clone(c.exports)
	c.mu.Unlock()
	for _, e := range exports {
		if !elsewhere[e.callee.Name] {
			continue
		}
		c.withdraw(e)
		c.handOver.Go(func() {
			if err := e.binding.Close(ctx); err != nil {
				c.o.Logger.Debug("hand over", "agent", e.callee.Name, "error", err)
			}
		})
	}
}

// AwaitHandOver returns when HandOver's ctx has ended, or what it began.
func (c *Cluster) AwaitHandOver() { c.handOver.Wait() }

// AwaitQuiet waits until no call of another process is in flight here.
func (c *Cluster) AwaitQuiet(ctx context.Context) error {
	c.mu.Lock()
	exports := slices.Clone(c.exports)
	c.mu.Unlock()
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
