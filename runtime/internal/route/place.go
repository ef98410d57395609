package route

import (
	"slices"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

// A place is what a call takes at an instance for as long as it runs there.
type place struct {
	n       int // the instance's number; -1: there is no place
	session communicator.Peer
	turn    resilience.BreakerTurn
	slot    bool // it counts among those that run at once
}

var noPlace = place{n: -1}

// enter takes a place for a call at the least loaded instance that is up, in turn among equals;
// n is -1 where none takes calls, but for the one whose session is not wanted.
func (p *Pool) enter(l *lane, c *agent.Call, not communicator.Peer) place {
	within := slices.Contains(c.Path, p.name)
	free := l.InFlight <= 0 || within
	if hasKey(c) {
		// Even while it stops, no other one has the results that it keeps.
		if n, s := p.byKey(c, not); n >= 0 {
			return p.take(l, n, s, free, false, within)
		}
		return noPlace
	}
	for range p.instances { // each may begin to stop at the moment in which it is chosen
		n, s := p.choose(l, not, free, within)
		if n < 0 {
			return noPlace
		}
		if at := p.take(l, n, s, free, false, within); at.n >= 0 {
			return at
		}
	}
	return noPlace
}

// take takes a place at instance n. given: its slot is the call's already, and is given back if
// there is no place. within: the call is below one of the same agent, and so goes to an instance
// that drains too.
func (p *Pool) take(l *lane, n int, s communicator.Peer, free, given, within bool) place {
	if !free && !given && !l.acquire(n) {
		return noPlace
	}
	at := place{n: n, session: s, slot: !free || given}
	if g := &p.instances[n].gate; within && !g.EnterWithin() || !within && !g.Enter() {
		if at.slot {
			p.release(l, n)
		}
		return noPlace
	}
	b := l.breaker(n)
	if b == nil {
		return at
	}
	turn, ok := b.Enter()
	if !ok {
		p.instances[n].gate.Leave()
		if at.slot {
			p.release(l, n)
		}
		return noPlace
	}
	at.turn = turn
	return at
}

// choose returns the least loaded instance that may take a call, in turn among equals. One that is
// suspect comes after all others.
func (p *Pool) choose(l *lane, not communicator.Peer, free, within bool) (int, communicator.Peer) {
	best, session := -1, communicator.Peer(nil)
	parked := false
	first := 0
	if len(p.instances) > 1 {
		first = int(p.turn.Add(1) % uint32(len(p.instances))) //nolint:gosec // there are few
	}
	for k := range p.instances {
		n := (first + k) % len(p.instances)
		i := p.instances[n]
		s := i.session.Load()
		parked = parked || i.parked.Load()
		if s == nil || *s == not || i.drained(within) || !free && l.running[n].Load() >= int64(l.InFlight) ||
			!l.breaker(n).Takes() {
			continue
		}
		if best < 0 || i.before(p.instances[best]) {
			best, session = n, *s
		}
	}
	if parked && (best < 0 || p.instances[best].gate.InFlight() > 0) {
		p.wake() // those that are up have enough to do
	}
	return best, session
}

// before reports whether calls go to i sooner than to another one that is up: to one that answers
// its pings, and has fewer calls.
func (i *Instance) before(other *Instance) bool {
	if suspect := i.suspect.Load(); suspect != other.suspect.Load() {
		return !suspect
	}
	return i.gate.InFlight() < other.gate.InFlight()
}

// obstacle says why there is no place for a call: all that could take it have as many as may run,
// or their breakers are open, of which the one that lets a call through first is returned.
func (p *Pool) obstacle(l *lane, c *agent.Call, not communicator.Peer) (full bool, open *resilience.BreakerLook) {
	for n, i := range p.instances {
		s := i.session.Load()
		if s == nil || *s == not || i.gate.IsShut() {
			continue
		}
		if hasKey(c) {
			if k, _ := p.byKey(c, not); k != n {
				continue
			}
		}
		b := l.breaker(n)
		if b.Takes() {
			full = true
			continue
		}
		if look := b.Look(); open == nil || look.Next.Before(open.Next) {
			open = &look
		}
	}
	return full, open
}

// release gives a slot at instance n to the next that waits for one, or back.
func (p *Pool) release(l *lane, n int) {
	for !p.takes(l, n) || !l.queue.hand(n) {
		l.running[n].Add(-1)
		// one may have come to wait, and have found no slot, a moment before
		if !p.takes(l, n) || !l.queue.wanted(n) || !l.acquire(n) {
			return
		}
	}
}

// takes reports whether instance n takes calls at all.
func (p *Pool) takes(l *lane, n int) bool {
	i := p.instances[n]
	return i.session.Load() != nil && !i.gate.IsShut() && l.breaker(n).Takes()
}
