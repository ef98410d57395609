package runtime

import (
	"context"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/gate"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// An export offers an agent of this process, however it is reached here, to the other processes.
type export struct {
	callee  *route.Callee
	binding communicator.Binding
	served  agent.Caller
	gate    gate.Gate
	rests   func() bool
}

// export serves c on the broker. The calls of other processes go straight to its instances: the
// caller's process retries.
func (r *Runtime) export(ctx context.Context, c *route.Callee, p planned) error {
	e := &export{callee: c, served: r.tel.Server(r.hop(project.OverPubSub))(c.Shown), rests: r.draining}
	if e.binding = c.Binding; c.Over != project.OverPubSub { // else it is there already
		var err error
		if e.binding, err = r.broker.Serve(ctx, e); err != nil {
			return err
		}
		p.undo.Add("agent "+c.Name+" for other processes", e.binding.Close)
	}
	r.cluster.export(e)
	p.undo.Add("the announcement of "+c.Name, func(context.Context) error { r.cluster.withdraw(e); return nil })
	return nil
}

func (c *cluster) export(e *export) {
	c.mu.Lock()
	c.exports = append(c.exports, e)
	c.mu.Unlock()
	c.presence.Changed()
}

// withdraw tells the others that an agent is not here any more, before it is closed.
func (c *cluster) withdraw(e *export) {
	c.mu.Lock()
	c.exports = slices.DeleteFunc(c.exports, func(x *export) bool { return x == e })
	c.mu.Unlock()
	c.presence.Changed()
}

// handOver leaves the calls that are still to come to the other processes, where those host the
// same agents. Calls in flight end here.
func (c *cluster) handOver(ctx context.Context) {
	c.mu.Lock()
	exports := slices.Clone(c.exports)
	c.mu.Unlock()
	elsewhere := c.elsewhere()
	for _, e := range exports {
		if len(elsewhere[e.callee.Name]) == 0 {
			continue
		}
		c.withdraw(e)
		c.ends.Go(func() {
			if err := e.binding.Close(ctx); err != nil {
				c.r.log.Debug("hand over", "agent", e.callee.Name, "error", err)
			}
		})
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
	if call.Depth == 0 && e.rests() {
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
