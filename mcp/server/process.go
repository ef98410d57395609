package server

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"github.com/openmas/openmas/mcp/internal/requeststate"
)

// maxHeld is how many calls of protocol 2026-07-28 wait for answers of their clients in a process,
// or have ended and may be asked about again.
const maxHeld = 1000

// A Process is what the servers of a process share for the calls of protocol 2026-07-28 that ask
// their clients something: how many of them may wait, 1,000, and what signs the states that clients
// carry from one request of such a call to the next. It is safe for concurrent use, and there is
// nothing to close.
type Process struct {
	sealer *requeststate.Sealer

	mu   sync.Mutex
	held map[*place]struct{}
}

// A place is taken by a call that waits.
type place struct {
	ended  <-chan struct{}
	forget func() // gives the place back
}

// NewProcess makes the Process of that name; states tell who made them by it. keys returns what
// signs, 32 random bytes each, at least one key and always the same: the first one signs, the
// others are accepted too. It is called when a state is made or checked, concurrently. nil is a key
// of this process alone: states of others are refused then.
func NewProcess(name string, keys func() [][]byte) *Process {
	if keys == nil {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails
		keys = func() [][]byte { return [][]byte{key} }
	}
	return &Process{sealer: requeststate.NewSealer(name, keys), held: map[*place]struct{}{}}
}

// take gives a call a place until it leaves. When all are taken, one that has ended is forgotten;
// nil: there is none. forget is called by another goroutine, without a lock held, and at most once.
func (p *Process) take(ended <-chan struct{}, forget func()) *place {
	mine := &place{ended, forget}
	p.mu.Lock()
	var old *place
	if len(p.held) >= maxHeld {
		if old = p.oneEndedLocked(); old == nil {
			p.mu.Unlock()
			return nil
		}
		delete(p.held, old)
	}
	p.held[mine] = struct{}{}
	p.mu.Unlock()
	if old != nil {
		old.forget()
	}
	return mine
}

func (p *Process) oneEndedLocked() *place {
	for h := range p.held {
		select {
		case <-h.ended:
			return h
		default:
		}
	}
	return nil
}

// leave gives a place back.
func (p *Process) leave(at *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, at)
}
