package held

import "sync"

// Max is how many calls of protocol 2026-07-28 wait for answers of their clients in a process,
// or have ended and may be asked about again.
const Max = 1000

// Places are for the calls of a process that wait. The zero value has all of them free. It is safe
// for concurrent use.
type Places struct {
	mu   sync.Mutex
	held map[*place]struct{}
}

// A place is taken by a call that waits.
type place struct {
	ended  <-chan struct{}
	forget func() // gives the place back
}

// take gives a call a place until it leaves. When all are taken, one that has ended is forgotten;
// nil: there is none. forget is called by another goroutine, without a lock held, and at most once.
func (p *Places) take(ended <-chan struct{}, forget func()) *place {
	mine := &place{ended, forget}
	p.mu.Lock()
	var old *place
	if len(p.held) >= Max {
		if old = p.oneEndedLocked(); old == nil {
			p.mu.Unlock()
			return nil
		}
		delete(p.held, old)
	}
	if p.held == nil {
		p.held = map[*place]struct{}{}
	}
	p.held[mine] = struct{}{}
	p.mu.Unlock()
	if old != nil {
		old.forget()
	}
	return mine
}

func (p *Places) oneEndedLocked() *place {
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
func (p *Places) leave(at *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, at)
}
