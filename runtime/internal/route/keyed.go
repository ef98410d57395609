package route

import (
	"context"

	"github.com/openmas/openmas/agent"
)

// keyed ties a call with an idempotency key to the instance that is to run it, as the generation
// that it is now: see [agent.Call.Keeper]. So it may be made again when its outcome is unknown. A
// call that nobody keeps the result of is tied to none. One that another process has tied stays so:
// that process may make it again, and relies on it.
func (c *Callee) keyed(next agent.Caller) agent.Caller {
	return agent.CallerFunc(func(ctx context.Context, call *agent.Call) (*agent.Result, error) {
		if !hasKey(call) || call.Keeper != "" {
			return next.Call(ctx, call)
		}
		tied := *call
		if p, ok := c.Route.(*Pool); ok && c.Trusted && (c.Alone == nil || c.Alone()) {
			if _, s := p.byKey(&tied, nil); s != nil && !p.Forgets {
				tied.Keeper = s.Info().Keeper
			}
		}
		return next.Call(ctx, &tied)
	})
}
