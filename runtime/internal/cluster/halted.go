package cluster

import (
	"context"
	"slices"
)

// Leave leaves the calls of an agent to the other processes that host it, whoever makes them:
// somebody is about to stop all its instances here. It returns when they go there, or at once when
// no other process has an instance that nobody has stopped: then one that comes later gets them.
func (c *Cluster) Leave(ctx context.Context, name string) { c.halt(ctx, name, true) }

// Return takes the calls of an agent again that was started after Leave, and returns when it does.
func (c *Cluster) Return(ctx context.Context, name string) { c.halt(ctx, name, false) }

func (c *Cluster) halt(ctx context.Context, name string, halted bool) {
	e := c.find(name)
	if e == nil || e.halted.Swap(halted) == halted {
		return
	}
	c.presence.Changed()
	for {
		settled := c.Settled()
		if away := e.away(); away == halted || halted && !c.elsewhere(name) {
			return
		}
		c.follow()
		select {
		case <-settled:
		case <-ctx.Done():
			return
		}
	}
}

// elsewhere reports whether another process has an instance of an agent that nobody has stopped.
func (c *Cluster) elsewhere(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		if slices.ContainsFunc(m.Agents, func(a Hosted) bool { return a.Name == name && !a.Halted }) {
			return true
		}
	}
	return false
}
