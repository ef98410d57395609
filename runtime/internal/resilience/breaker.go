package resilience

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
)

// A BreakerPolicy is when a [Breaker] opens, and for how long.
type BreakerPolicy struct {
	// Ratio is the part of the calls within Window that failed, from which on it opens: over 0, up
	// to 1.
	Ratio float64
	// Calls is how many calls have to end within Window before it opens at all; 0: it never does.
	Calls  int
	Window time.Duration
	// Open is how long it refuses calls. It is twice as long each time that a probe fails, up to
	// [MaxOpen], or Open where that is longer.
	Open time.Duration
	// Probes is how many calls it lets through then. It closes when all of them succeed.
	Probes int
}

// MaxOpen is the longest time for which a breaker refuses calls without a probe.
const MaxOpen = 5 * time.Minute

// A BreakerState is what a breaker does with calls.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // it lets all of them through
	BreakerOpen     BreakerState = "open"      // it lets none through
	BreakerHalfOpen BreakerState = "half-open" // it lets some through, and looks how they end
)

// spans is how many parts the window has: what is older than the window leaves it in such parts.
const spans = 10

// A Breaker refuses calls to what has failed too often, so that its callers know at once and it
// gets time to recover. Safe for concurrent use; a nil *Breaker is always closed.
type Breaker struct {
	policy BreakerPolicy
	now    func() time.Time
	// era is even while the breaker is closed; each change of the state makes it one more. A call
	// counts only in the era in which it began.
	era atomic.Uint64

	mu     sync.Mutex
	state  BreakerState
	counts [spans]struct{ failed, all int }
	span   int64 // the number of the newest part, counted from the zero of time
	last   agent.Code
	since  time.Time
	until  time.Time     // while it is open
	open   time.Duration // how long it was open the last time in a row; 0: it was closed before
	lost   time.Time     // when a call failed the last time that got no answer
	probes int           // under way or ended well, while it is half-open
	passed int           // ended well
	failed int           // of calls, when it opened
	all    int
}

// NewBreaker returns a closed breaker; nil where the policy has none.
func NewBreaker(p BreakerPolicy) *Breaker {
	if p.Calls <= 0 {
		return nil
	}
	p.Probes = max(p.Probes, 1)
	return &Breaker{policy: p, now: time.Now, state: BreakerClosed, since: time.Now()}
}

// A BreakerTurn is the leave of a breaker for one call. Each must end with [Breaker.Leave].
type BreakerTurn struct {
	era   uint64
	began time.Time
}

// Takes reports whether Enter would let a call through now.
func (b *Breaker) Takes() bool {
	if b == nil || b.closed() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.takes(b.now())
}

func (b *Breaker) closed() bool { return b.era.Load()%2 == 0 }

func (b *Breaker) takes(now time.Time) bool {
	switch b.state {
	case BreakerOpen:
		return !now.Before(b.until)
	case BreakerHalfOpen:
		return b.probes < b.policy.Probes
	default:
		return true
	}
}

// Enter asks whether a call may be made.
func (b *Breaker) Enter() (BreakerTurn, bool) {
	if b == nil {
		return BreakerTurn{}, true
	}
	if era := b.era.Load(); era%2 == 0 {
		return BreakerTurn{era, b.now()}, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if !b.takes(now) {
		return BreakerTurn{}, false
	}
	if b.state == BreakerOpen {
		b.become(BreakerHalfOpen, now)
		b.probes, b.passed = 0, 0
	}
	if b.state == BreakerHalfOpen {
		b.probes++
	}
	return BreakerTurn{b.era.Load(), now}, true
}

// Leave tells how the call ended: see [Judge]. A call that had all of patience for its answer
// counts without one. Calls that ran at once and got no answer count as one: what cut them off was
// one thing, a program or a connection that has ended. Leave reports the breaker's state if that
// has changed.
func (b *Breaker) Leave(t BreakerTurn, err error, patience time.Duration) (changed BreakerState) {
	if b == nil {
		return ""
	}
	now := b.now()
	fault := Judge(err, now.Sub(t.began) >= patience)
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.era != b.era.Load() {
		return "" // what was known when it began is out of date
	}
	if b.state == BreakerHalfOpen {
		return b.probed(now, fault, err)
	}
	b.forget(now)
	if fault == Unclear {
		return ""
	}
	if fault == Faulty && cutOff(err) {
		if !t.began.After(b.lost) {
			return ""
		}
		b.lost = now
	}
	c := &b.counts[b.span%spans]
	c.all++
	if fault == Sound {
		return ""
	}
	c.failed++
	b.last = agent.CodeOf(err)
	if failed, all := b.sum(); all < b.policy.Calls || float64(failed) < b.policy.Ratio*float64(all) {
		return ""
	}
	return b.trip(now)
}

// cutOff reports whether a call ended without an answer.
func cutOff(err error) bool {
	code := agent.CodeOf(err)
	return code == agent.CodeUnavailable || code == agent.CodeOutcomeUnknown
}

// probed notes the end of a call of a half-open breaker.
func (b *Breaker) probed(now time.Time, fault Fault, err error) BreakerState {
	switch fault {
	case Unclear:
		b.probes-- // it says nothing: the next one may
		return ""
	case Faulty:
		b.last = agent.CodeOf(err)
		return b.trip(now)
	}
	if b.passed++; b.passed < b.policy.Probes {
		return ""
	}
	b.counts = [spans]struct{ failed, all int }{}
	return b.become(BreakerClosed, now)
}

// trip opens the breaker.
func (b *Breaker) trip(now time.Time) BreakerState {
	if b.state == BreakerClosed {
		if now.Sub(b.since) >= b.policy.Window {
			b.open = 0 // it was well for long enough
		}
		b.failed, b.all = b.sum()
	}
	b.open = max(b.policy.Open, min(2*b.open, MaxOpen))
	b.until = now.Add(b.open)
	return b.become(BreakerOpen, now)
}

func (b *Breaker) become(s BreakerState, now time.Time) BreakerState {
	era := b.era.Load() + 1
	if (s == BreakerClosed) != (era%2 == 0) {
		era++
	}
	b.state, b.since = s, now
	b.era.Store(era)
	return s
}

// forget drops what is older than the window.
func (b *Breaker) forget(now time.Time) {
	span := now.UnixNano() / max(int64(b.policy.Window)/spans, 1)
	for n := max(b.span+1, span-spans+1); n <= span; n++ {
		b.counts[n%spans] = struct{ failed, all int }{}
	}
	b.span = max(b.span, span)
}

func (b *Breaker) sum() (failed, all int) {
	for _, c := range b.counts {
		failed, all = failed+c.failed, all+c.all
	}
	return failed, all
}

// A BreakerLook is a breaker at one moment.
type BreakerLook struct {
	State BreakerState
	Since time.Time
	// Failed of All calls had failed within the window when it opened, the last one with Code.
	Failed, All int
	Code        agent.Code
	// Next is when it lets the next call through; zero: now, or when a call has ended.
	Next time.Time
}

// Look returns how the breaker is now.
func (b *Breaker) Look() BreakerLook {
	if b == nil {
		return BreakerLook{State: BreakerClosed}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := BreakerLook{State: b.state, Since: b.since, Failed: b.failed, All: b.all, Code: b.last}
	if b.state == BreakerOpen {
		l.Next = b.until
	}
	return l
}
