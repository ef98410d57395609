package route

import (
	"context"
	"errors"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/project"
)

// Call implements [agent.Caller].
func (c *Callee) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if !c.gate.Enter() {
		return c.late(ctx, call)
	}
	defer c.gate.Leave()
	if call.Op == agent.OpEvent {
		c.events.Add(1) // nobody waits for it: it is no work of a caller
		defer c.events.Add(-1)
	}
	if to := c.away.Load(); to != nil && call.Op != agent.OpEvent {
		res, err := to.Call(ctx, call)
		if err == nil || !agent.AsError(err).NotExecuted || agent.CodeOf(err) != agent.CodeUnavailable ||
			c.away.Load() == to {
			return res, err
		}
		// Meanwhile it was started here, and perhaps stopped there.
	}
	res, err := c.chainOf(call).Call(ctx, call)
	if err != nil && call.Op != agent.OpEvent {
		// It has waited here while all instances were stopped.
		if to := c.away.Load(); to != nil && agent.AsError(err).NotExecuted && Halted(err) {
			return to.Call(ctx, call)
		}
	}
	return res, err
}

// Divert sends the calls that are still to come to another process, and those that wait here for an
// instance that somebody has stopped; nil: they come here again.
func (c *Callee) Divert(to *Callee) { c.away.Store(to) }

// Halted reports whether err is of an agent that somebody has stopped, and may start again.
func Halted(err error) bool {
	by := (*HaltedError)(nil)
	return errors.As(err, &by)
}

// late makes a call that comes when the Callee has been replaced: whoever makes it has found it in
// the directory a moment before.
func (c *Callee) late(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if next := c.next.Load(); next != nil {
		return next.Call(ctx, call)
	}
	err := agent.Refusedf(agent.CodeNotFound, "%s: there is no agent %q any more", call.Target(), c.Name)
	return nil, c.Log.Made(ctx, call, 0, err, func(agent.Code) string { return "" })
}

// Replace sends all calls that are still to come to next, and those that wait for an instance; nil:
// they are refused, as the agent is not there any more. Those under way go on: see Drain.
func (c *Callee) Replace(next *Callee) {
	if next != nil {
		c.next.Store(next)
		sessions, _ := c.Route.(*Pool)
		if sessions != nil && next.Route != agent.Caller(sessions) {
			sessions.Replace(next.Route)
		}
		if sessions != c.Shown && next.Shown != c.Shown {
			c.Shown.Replace(next.Shown)
		}
	}
	c.gate.Shut()
}

// Drain waits for the calls and events under way, after Replace, until ctx ends.
func (c *Callee) Drain(ctx context.Context) error { return c.gate.Wait(ctx) }

// chainOf returns the chain of a call. A tool with a policy of its own has its own, every other
// name and operation share one.
func (c *Callee) chainOf(call *agent.Call) agent.Caller {
	ch, policy, tool := &c.chain, &c.Policy, ""
	if call.Op == agent.OpTool {
		if own := c.byTool[call.Name]; own != nil {
			p := c.ToolPolicies[call.Name]
			ch, policy, tool = own, &p, call.Name
		}
	}
	if built := ch.built.Load(); built != nil {
		return *built
	}
	built := c.build(*policy, tool)
	ch.built.CompareAndSwap(nil, &built)
	return *ch.built.Load()
}

// build makes what a call passes on its way to an agent:
//
//	span -> log -> mask -> budget -> deadline and depth -> key -> retry -> route: choose an instance, its session
//
// A local call skips retry: nothing can get lost on the way. tool is the one that the policy is of,
// or empty.
func (c *Callee) build(p project.Policy, tool string) agent.Caller {
	mw := []agent.Middleware{
		c.Telemetry.Client(c.Hop),
		c.observed,
		masked(c.Mask),
	}
	if c.Trees != nil {
		mw = append(mw, c.Trees.Limit(p.Budget, c.BudgetKey(tool)))
	}
	mw = append(mw, calls.Limit(p.Timeout, c.TimeoutKey(tool)))
	if c.Over != project.OverLocal && p.Retry.Attempts > 1 {
		mw = append(mw, c.keyed, resilience.Retry(
			resilience.Policy{Attempts: p.Retry.Attempts, Backoff: backoff.Policy{Initial: p.Retry.Initial,
				Multiplier: p.Retry.Multiplier, Max: p.Retry.Max, Jitter: backoff.Full}},
			resilience.Options{Budget: c.Budget, OnRetry: c.retried, OnHelped: c.helped,
				Keyed:      func(call *agent.Call) bool { return call.Keeper != "" },
				Repeatable: func(call *agent.Call) bool { return c.repeatable(call, p.Idempotent) }}))
	}
	return agent.Chain(c.Route, mw...)
}

// masked takes secrets out of the errors of calls.
func masked(mask func(error) error) agent.Middleware {
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, call *agent.Call) (*agent.Result, error) {
			res, err := next.Call(ctx, call)
			if err != nil {
				err = mask(err)
			}
			return res, err
		})
	}
}

// repeatable: the project file has the last word, then the tool's own declaration where it can be
// trusted. Reading prompts, resources and completions is safe to repeat by the definition of MCP.
func (c *Callee) repeatable(call *agent.Call, idempotent *bool) bool {
	switch call.Op {
	case agent.OpPrompt, agent.OpResource, agent.OpComplete:
		return true
	case agent.OpTool:
		if idempotent != nil {
			return *idempotent
		}
		t, ok := c.Info().Tool(call.Name)
		return ok && c.Trusted && t.Repeatable()
	}
	return false
}

func (c *Callee) retried(ctx context.Context, call *agent.Call, waited time.Duration,
	cause error) (context.Context, func(error)) {
	c.seen.retries.Add(1)
	return c.Telemetry.Attempt(ctx, c.Hop, call, waited, c.Mask(cause))
}

func (c *Callee) helped(ctx context.Context, call *agent.Call, attempts int, took time.Duration, first error) {
	c.Log.Helped(ctx, call, attempts, took, c.Mask(first))
}
