package route

import (
	"context"
	"hash/fnv"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
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
			if _, s := p.byKey(&tied); s != nil {
				tied.Keeper = s.Info().Keeper
			}
		}
		return next.Call(ctx, &tied)
	})
}

func hasKey(c *agent.Call) bool { return c.Key != "" && c.Op == agent.OpTool }

// byKey chooses the instance for a call with a key: the one that the call is tied to, else always
// the same of those that are up, so that calls with one key come together.
func (p *Pool) byKey(c *agent.Call) (best *Instance, session communicator.Peer) {
	var highest uint64
	for _, i := range p.instances {
		s := i.session.Load()
		if s == nil || c.Keeper != "" && (*s).Info().Keeper != c.Keeper {
			continue
		}
		h := fnv.New64a()
		for _, part := range []string{c.From.User, c.From.Agent, c.Key, i.ID} {
			_, _ = h.Write(append([]byte(part), 0)) // never fails
		}
		if weight := h.Sum64(); best == nil || weight > highest {
			best, session, highest = i, *s, weight
		}
	}
	return best, session
}

// keeper is the generation that all instances which are up share, or empty.
func (p *Pool) keeper(first string) string {
	for _, i := range p.instances {
		if s := i.session.Load(); s == nil || (*s).Info().Keeper != first {
			return ""
		}
	}
	return first
}
