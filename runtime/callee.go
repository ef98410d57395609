package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// A callee is one agent as its callers in this process see it: the chain of concerns that a call
// passes, and the instances behind.
//
//	span -> deadline -> depth -> retry -> choose an instance -> the instance's session
//
// A local call skips retry: nothing can get lost on the way.
type callee struct {
	name  string
	over  string // an Over… word
	route agent.Caller
	// shown are the instances for status: the hosts where the agent lives in this process, else its
	// sessions.
	shown *pool
	stats stats
	going atomic.Int64 // calls of this process under way

	policyFor  func(tool string) project.Policy
	idempotent func(tool string) *bool
	// binding of an agent in this process that is reached over the broker.
	binding communicator.Binding
	// remote: it lives in another process of the project.
	remote bool
	// trusted: what the agent declares about its tools may be relied on.
	trusted bool
	// masked takes the project's secrets out of an error.
	masked func(error) error
	// watched of a foreign server; nil for what says itself when its resources change.
	watched *watched
	tel     *telemetry.Telemetry
	hop     telemetry.Hop
	budget  *resilience.Budget

	// chains by tool; every other name and operation shares the one for "". Bounded by the tools
	// that the agent lists.
	chains sync.Map
}

// Info describes the agent as its instances do.
func (c *callee) Info() agent.Info {
	info := c.shown.Info()
	info.Name = c.name
	return info
}

// Call implements [agent.Caller].
func (c *callee) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if call.Op == agent.OpEvent {
		return c.chain(call).Call(ctx, call) // nobody waits for it: it is no work of a caller
	}
	c.going.Add(1)
	defer c.going.Add(-1)
	began := time.Now()
	res, err := c.chain(call).Call(ctx, call)
	c.stats.done(time.Since(began), err)
	return res, err
}

func (c *callee) chain(call *agent.Call) agent.Caller {
	key := ""
	if call.Op == agent.OpTool {
		key = call.Name
	}
	if ch, ok := c.chains.Load(key); ok {
		return ch.(agent.Caller)
	}
	if key != "" {
		if _, ok := c.Info().Tool(key); !ok {
			return c.chain(&agent.Call{})
		}
	}
	ch, _ := c.chains.LoadOrStore(key, c.build(key))
	return ch.(agent.Caller)
}

func (c *callee) build(tool string) agent.Caller {
	p := c.policyFor(tool)
	mw := []agent.Middleware{
		c.tel.Client(c.hop),
		hushed(c.masked),
		lifecycle.Limit(p.Timeout),
	}
	if c.over != project.OverLocal && p.Retry.Attempts > 1 {
		mw = append(mw, resilience.Retry(
			resilience.Policy{Attempts: p.Retry.Attempts, Backoff: backoff.Policy{Initial: p.Retry.Initial,
				Multiplier: p.Retry.Multiplier, Max: p.Retry.Max, Jitter: backoff.Full}},
			resilience.Options{Budget: c.budget, Repeatable: c.repeatable, OnRetry: c.retried}))
	}
	return agent.Chain(c.route, mw...)
}

// repeatable: the project file has the last word, then the tool's own declaration where it can be
// trusted. Reading prompts, resources and completions repeats safely by what MCP says they are.
func (c *callee) repeatable(call *agent.Call) bool {
	switch call.Op {
	case agent.OpPrompt, agent.OpResource, agent.OpComplete:
		return true
	case agent.OpTool:
		if yes := c.idempotent(call.Name); yes != nil {
			return *yes
		}
		t, ok := c.Info().Tool(call.Name)
		return ok && c.trusted && t.Repeatable()
	}
	return false
}

func (c *callee) retried(ctx context.Context, _ *agent.Call, attempt int, delay time.Duration, err error) {
	c.stats.retries.Add(1)
	c.tel.AddRetryEvent(ctx, attempt, delay, err)
}

// hop describes a way to telemetry.
func (r *Runtime) hop(over, instance string) telemetry.Hop {
	h := telemetry.Hop{Communicator: over, Instance: instance}
	if over == project.OverPubSub {
		h.System = r.brokerSystem()
	}
	return h
}
