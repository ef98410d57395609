package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

// await is enter that waits: for a slot until the call's deadline, for an instance that is about to
// be up for [Limits.ReadyWait] at most. It gives up at once where neither is to be had. ended is a
// session that is not wanted.
func (p *Pool) await(ctx context.Context, l *lane, c *agent.Call, ended communicator.Peer) (place, error) {
	if p.next.Load() != nil {
		return noPlace, errReplaced
	}
	w := l.queue.join(l.Queue)
	if w == nil {
		return noPlace, p.crowded(l, c)
	}
	defer func() {
		if n, given := l.queue.quit(w); given {
			p.release(l, n)
		}
	}()
	if sent := calls.SentBy(ctx); sent != nil {
		began := time.Now()
		defer func() { sent.Queued += time.Since(began) }()
	}
	var patience *time.Timer
	var until time.Time
	for {
		changed := p.watch()
		if p.dismissed.Load() {
			return noPlace, waited(agent.Refusedf(agent.CodeUnavailable,
				"%s: the system was stopped before its turn came", c.Target()))
		}
		p.wants(l, w, c, ended)
		if at := p.enter(l, c, ended); at.n >= 0 {
			return at, nil
		}
		if p.next.Load() != nil {
			return noPlace, errReplaced
		}
		full, open := p.obstacle(l, c, ended)
		var enough <-chan time.Time
		switch {
		case full:
		case open != nil:
			return noPlace, p.refused(l, c, open)
		default:
			if p.wake() {
				break
			}
			if patience == nil {
				patience, until = time.NewTimer(l.ReadyWait), time.Now().Add(l.ReadyWait)
				defer patience.Stop()
			}
			end := until
			if at, ok := ctx.Deadline(); ok && at.Before(end) {
				end = at
			}
			if !p.coming(end, ended) {
				select {
				case <-changed: // it came while this looked
					continue
				default:
				}
				return noPlace, p.unavailable(c)
			}
			enough = patience.C
		}
		select {
		case n := <-w.slot:
			if p.dismissed.Load() {
				p.release(l, n)
			} else if at := p.takeGiven(l, c, n, ended); at.n >= 0 {
				return at, nil
			}
			l.queue.again(w)
		case <-changed:
		case <-enough:
			return noPlace, waited(p.unavailable(c))
		case <-ctx.Done():
			return noPlace, p.gaveUp(ctx, l, c, full)
		}
	}
}

// errReplaced is returned to who is to make the call with what has taken the pool's place.
var errReplaced = errors.New("the pool was replaced")

// wants notes which instances a call waits for.
func (p *Pool) wants(l *lane, w *waiter, c *agent.Call, ended communicator.Peer) {
	if !hasKey(c) && ended == nil {
		return
	}
	only, not := -1, -1
	if hasKey(c) {
		only, _ = p.byKey(c, ended)
	}
	for n, i := range p.instances {
		if s := i.session.Load(); s != nil && *s == ended {
			not = n
		}
	}
	l.queue.wants(w, only, not)
}

// takeGiven is take with a slot that was handed over.
func (p *Pool) takeGiven(l *lane, c *agent.Call, n int, ended communicator.Peer) place {
	mine := true
	if hasKey(c) {
		k, _ := p.byKey(c, ended)
		mine = k == n
	}
	if s := p.instances[n].session.Load(); mine && s != nil && *s != ended {
		return p.take(l, n, *s, false, true, false)
	}
	p.release(l, n)
	return noPlace
}

// gaveUp is the error of a call whose context ended while it waited.
func (p *Pool) gaveUp(ctx context.Context, l *lane, c *agent.Call, full bool) error {
	code := agent.CodeOf(ctx.Err())
	if !full {
		return agent.Refusedf(code, "%s: waited while %w: %w", c.Target(), p.whyDown(), ctx.Err())
	}
	if code == agent.CodeDeadlineExceeded {
		return agent.Refusedf(agent.CodeResourceExhausted,
			"%s: waited in vain for one of the %d calls that may run at "+
				"once at each instance (%s)", c.Target(), l.InFlight, l.Key("max_in_flight"))
	}
	return agent.Refusedf(code, "%s: given up while it waited for its turn: %w", c.Target(), ctx.Err())
}

// crowded is the error of a call that may not even wait.
func (p *Pool) crowded(l *lane, c *agent.Call) error {
	for _, i := range p.instances {
		if i.session.Load() != nil {
			return agent.Refusedf(agent.CodeResourceExhausted, "%s: the queue of agent %s is full: %d of %d calls "+
				"wait (%s), and %d run at each instance (%s)", c.Target(), p.name, l.Queue, l.Queue, l.Key("max_queue"),
				l.InFlight, l.Key("max_in_flight"))
		}
	}
	return agent.Refusedf(agent.CodeResourceExhausted, "%s: the queue of agent %s is full: %d of %d calls wait (%s): "+
		"%w", c.Target(), p.name, l.Queue, l.Queue, l.Key("max_queue"), p.whyDown())
}

// refused is the error of a call that a breaker refuses.
func (p *Pool) refused(l *lane, c *agent.Call, open *resilience.BreakerLook) error {
	next := "the calls that try it have ended"
	if wait := time.Until(open.Next); wait > 0 {
		next = fmt.Sprintf("%v have passed", max(wait.Round(time.Second), time.Second))
	}
	e := agent.Refusedf(agent.CodeUnavailable,
		"%s: %w: %d of %d calls failed within %v, the last one with %s; it gets "+
			"calls again when %s (%s)", c.Target(), resilience.ErrOpen, open.Failed, open.All, l.Breaker.Window,
		open.Code,
		next, l.Key("breaker"))
	e.RetryAfter = max(time.Until(open.Next), time.Second)
	return e
}

// waitedError is a [resilience.ErrWaited] in the words of its cause.
type waitedError struct{ cause *agent.Error }

// waited is the error of a call that is not to be made again: see [resilience.ErrWaited].
func waited(cause *agent.Error) *agent.Error {
	e := agent.Refusedf(cause.Code, "%w", waitedError{cause})
	e.Details = cause.Details
	return e
}

func (e waitedError) Error() string        { return e.cause.Message }
func (e waitedError) Unwrap() error        { return e.cause }
func (e waitedError) Is(target error) bool { return target == resilience.ErrWaited }

// coming reports whether an instance may take calls before end. ended is a session that has ended,
// which need not have been noticed yet.
func (p *Pool) coming(end time.Time, ended communicator.Peer) bool {
	return slices.ContainsFunc(p.instances, func(i *Instance) bool {
		shut := i.gate.IsShut() // before it looks: it may be parked at this moment
		now := i.Look()
		switch now.State {
		case Idle:
			return true
		case Starting, Restarting, Backoff:
			return now.Next.Before(end)
		case Ready, Suspect:
			return !shut && ended != nil && i.Session() == ended
		}
		return false
	})
}

func (p *Pool) unavailable(c *agent.Call) *agent.Error {
	if c.Keeper != "" {
		return agent.Refusedf(agent.CodeUnavailable, "%s: the instance of %s that the call is tied to by its key is "+
			"gone",
			c.Target(), p.name)
	}
	if p.halted() {
		return waited(resilience.Halted(agent.Refusedf(agent.CodeUnavailable, "%s: %w", c.Target(), p.whyDown())))
	}
	return agent.Refusedf(agent.CodeUnavailable, "%s: %w", c.Target(), p.whyDown())
}

// whyDown is Down for a call that nobody took.
func (p *Pool) whyDown() error {
	if why := p.Down(); why != nil {
		return why
	}
	return fmt.Errorf("agent %s was not up in time", p.name) // it has come at this moment
}

// Await returns nil when an instance that is being started takes calls, and why it does not as soon
// as an attempt to start it has failed.
func (p *Pool) Await(ctx context.Context, i *Instance) error {
	for {
		changed := p.watch()
		switch now := i.Look(); {
		case now.State == Ready:
			return nil
		case now.Err != nil || now.State == Stopped:
			return now.why(p.name)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
