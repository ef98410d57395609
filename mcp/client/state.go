package client

import (
	"context"
	"sync"

	"github.com/openmas/openmas/mcp/internal/codec"
)

// cancels end the calls in flight with the session. A watcher for each call would cost more than
// this.
type cancels struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]context.CancelCauseFunc
	over error // why there can be no more
}

// add must be followed by remove.
func (c *cancels) add(cancel context.CancelCauseFunc) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		cancel(c.over)
	}
	if c.open == nil {
		c.open = map[uint64]context.CancelCauseFunc{}
	}
	c.last++
	c.open[c.last] = cancel
	return c.last
}

func (c *cancels) remove(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, n)
}

func (c *cancels) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = why
	for _, cancel := range c.open {
		cancel(why)
	}
}

// background are what a session still does for calls that have ended.
type background struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// run does f aside, within codec.CloseTimeout, unless the session is over.
func (e *background) run(f func(context.Context)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), codec.CloseTimeout)
		defer cancel()
		f(ctx)
	})
}

// finish lets no more begin, and waits.
func (e *background) finish() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.wg.Wait()
}

// maxUpdates is how many changed resources wait to be told of. More are lost: whoever subscribes to
// so many reads them now and then anyway.
const maxUpdates = 1000

// changedResources gathers the resources that a server says have changed, each once.
type changedResources struct {
	mu   sync.Mutex
	uris map[string]bool
}

func (u *changedResources) take() map[string]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.uris
	u.uris = nil
	return out
}
