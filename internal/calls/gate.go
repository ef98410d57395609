// Package calls is what all that carry calls share, in the runtime, in its children and in
// agenttest: how calls in flight are counted and refused, how a call is bounded, and how its place
// in the tree of calls is written on a wire.
package calls

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// A Gate counts calls in flight and can be shut, and opened again: the piece that every server
// needs to refuse new calls and to wait for the running ones. The zero Gate is open.
type Gate struct {
	// n is the number of calls inside, and gateShut when no more may enter.
	n      atomic.Int64
	onLeft atomic.Pointer[func()]
	mu     sync.Mutex
	idle   chan struct{} // made by the first who needs it, closed when the last call left
}

const gateShut = int64(1) << 62

// Enter reports whether a call may proceed; if so, Leave must follow.
func (g *Gate) Enter() bool {
	if g.n.Add(1)&gateShut != 0 {
		g.Leave()
		return false
	}
	return true
}

// EnterWithin is Enter for a call below one of those inside, which may wait for its answer: it gets
// in as long as anybody is inside.
func (g *Gate) EnterWithin() bool {
	if !g.IsShut() && g.Enter() {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.whenIdle():
		return false
	default:
		g.n.Add(1) // nobody can notice in between that all have left
		return true
	}
}

// Leave ends what Enter began.
func (g *Gate) Leave() {
	if g.n.Add(-1) == gateShut {
		g.signal()
	}
	if f := g.onLeft.Load(); f != nil {
		(*f)()
	}
}

// OnLeave has f called whenever a call has left, from now on. It must be quick.
func (g *Gate) OnLeave(f func()) { g.onLeft.Store(&f) }

// InFlight is the number of calls inside.
func (g *Gate) InFlight() int { return int(g.n.Load() &^ gateShut) }

// Shut refuses every later Enter. It does not wait.
func (g *Gate) Shut() {
	for {
		n := g.n.Load()
		if n&gateShut != 0 {
			return
		}
		if g.n.CompareAndSwap(n, n|gateShut) {
			if n == 0 {
				g.signal()
			}
			return
		}
	}
}

// ShutEmpty is Shut if no call is inside and the gate was open. It reports whether that was so.
func (g *Gate) ShutEmpty() bool {
	if !g.n.CompareAndSwap(0, gateShut) {
		return false
	}
	g.signal()
	return true
}

// Open lets calls in again. Nobody may wait for those that were inside.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		n := g.n.Load()
		if n&gateShut == 0 {
			return
		}
		if g.n.CompareAndSwap(n, n&^gateShut) {
			g.idle = nil
			return
		}
	}
}

// IsShut reports whether Enter refuses.
func (g *Gate) IsShut() bool { return g.n.Load()&gateShut != 0 }

// Wait returns when the gate is shut and empty, or with an error when ctx ends before.
func (g *Gate) Wait(ctx context.Context) error {
	select {
	case <-g.empty():
		return nil
	default:
	}
	select {
	case <-g.empty():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d calls still in flight: %w", g.InFlight(), ctx.Err())
	}
}

func (g *Gate) empty() chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.whenIdle()
}

// whenIdle is called with mu held.
func (g *Gate) whenIdle() chan struct{} {
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}

// signal may run more than once, since an Enter that was refused leaves as well, and when the gate
// was opened meanwhile.
func (g *Gate) signal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n.Load() != gateShut {
		return // whoever is inside calls it again
	}
	idle := g.whenIdle()
	select {
	case <-idle:
	default:
		close(idle)
	}
}
