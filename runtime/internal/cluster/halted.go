package cluster

import (
	"context"
	"slices"
	"time"
)

const (
	// tellTime bounds how long Return waits until the others know.
	tellTime = 5 * time.Second
	// startTime is how long Leave waits for the word of a process that may just have started the
	// agent: announcements are a tenth of a second apart, and take longer on a busy machine.
	startTime = time.Second
)

// Leave leaves the calls of an agent to the other processes that host it, whoever makes them:
// somebody is about to stop all its instances here. It returns when they go there, or soon when no
// other process has an instance that nobody has stopped: then one that comes later gets them.
func (c *Cluster) Leave(ctx context.Context, name string) { c.halt(ctx, name, true) }

// Return takes the calls of an agent again that was started after Leave, and returns when it does
// and the other processes know: the agent may be stopped there now.
func (c *Cluster) Return(ctx context.Context, name string) {
	if !c.halt(ctx, name, false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	c.presence.AwaitTold(ctx)
}

// halt reports whether that is new.
func (c *Cluster) halt(ctx context.Context, name string, halted bool) bool {
	e := c.find(name)
	if e == nil || e.halted.Swap(halted) == halted {
		return false
	}
	c.presence.Changed()
	wait := time.NewTimer(startTime)
	defer wait.Stop()
	for waited := false; ; {
		settled := c.Settled()
		there, runs := c.elsewhere(name)
		if away := e.away(); away == halted || halted && (!there || waited && !runs) {
			return true
		}
		if !halted || runs {
			c.follow()
		}
		select {
		case <-settled:
		case <-wait.C:
			waited = true
		case <-ctx.Done():
			return true
		}
	}
}

// elsewhere reports whether another process hosts an agent, and whether one has an instance that
// nobody has stopped.
func (c *Cluster) elsewhere(name string) (there, runs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.members {
		there = there || slices.ContainsFunc(m.Agents, func(a Hosted) bool { return a.Name == name })
		runs = runs || slices.ContainsFunc(m.Agents, func(a Hosted) bool { return a.Name == name && !a.Halted })
	}
	return there, runs
}
