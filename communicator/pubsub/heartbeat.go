package pubsub

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
)

// What follows the ref in the tokens of requests that are no calls.
const (
	beatToken  = "!"
	probeToken = "!!"
)

// A pulse is the clock of a communicator over a [Remote] driver. In each tick it sends the
// heartbeats that are due, and gives up calls that hear none. It sleeps while there is nothing to
// do. time and rouse may be called on nil.
type pulse struct {
	c      *Communicator
	now    atomic.Int64
	asleep atomic.Bool
	wake   chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

func newPulse(c *Communicator) *pulse {
	p := &pulse{c: c, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	p.now.Store(1)
	return p
}

// time is the tick it is; 0 without a pulse.
func (p *pulse) time() int64 {
	if p == nil {
		return 0
	}
	return p.now.Load()
}

// rouse is called after there is something new to watch.
func (p *pulse) rouse() {
	if p != nil && p.asleep.Load() && p.asleep.CompareAndSwap(true, false) {
		p.wake <- struct{}{}
	}
}

// run goes on until it is stopped.
func (p *pulse) run() {
	defer close(p.done)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
		}
		if p.beat(p.now.Add(1)) {
			continue
		}
		p.asleep.Store(true) // and look again: what came before this did not rouse it
		if p.beat(p.now.Load()) && p.asleep.CompareAndSwap(true, false) {
			continue
		}
		t.Stop()
		select {
		case <-p.stop:
			return
		case <-p.wake:
			t.Reset(tick)
		}
	}
}

// beat does what is due, and says whether there is more to come.
func (p *pulse) beat(now int64) bool {
	c := p.c
	probes, more := c.pending.finishSilent(now, reply{err: errSilent})
	for _, p := range probes {
		f := bus.Frame{Kind: bus.KindHeartbeat, Ref: p.ref, Agent: p.agent}
		if err := c.request(c.ctx, c.subjects.Control(p.agent), p.ref+probeToken, &f, 0); errors.Is(err,
			ErrNoSubscribers) {
			c.noSubscribers(p.ref + probeToken)
		}
	}
	for _, b := range c.bindings() {
		due, left := b.due(now)
		more = more || left
		for _, j := range due {
			f := bus.Frame{Kind: bus.KindHeartbeat, Ref: j.ref, Agent: b.name}
			if err := c.request(c.ctx, j.replyTo, j.ref+beatToken, &f, 0); err != nil &&
				!errors.Is(err, ErrNoSubscribers) {
				c.o.Logger.Debug("a heartbeat was not sent", "agent", b.name, "ref", j.ref, "error", err)
			} else if err != nil {
				b.giveUp(j.ref)
			}
		}
	}
	return more
}

// due returns the jobs that need a heartbeat now, and whether there are any at all.
func (b *binding) due(now int64) (due []*job, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range b.jobs {
		if j.beat <= now {
			j.beat = now + beatEvery
			due = append(due, j)
		}
	}
	return due, len(b.jobs) > 0
}

// heard takes a heartbeat.
func (c *Communicator) heard(f *bus.Frame) {
	if c.pending.beat(f.Ref, c.pulse.time()) || agent.CheckAgentName(f.Agent) != nil {
		return
	}
	c.giveUp(f.Agent, f.Ref) // a call of ours that was given up, and the callee does not know
}

var errSilent = agent.Errorf(agent.CodeOutcomeUnknown, "no sign of life: whoever got the call is gone")

// noSubscribers is called for a request without subscribers: a call that did not arrive, a probe for one
// that did, or the heartbeat of one whose caller is gone.
func (c *Communicator) noSubscribers(token string) {
	ref, isProbe := strings.CutSuffix(token, probeToken)
	ref, isBeat := strings.CutSuffix(ref, beatToken)
	switch {
	case isProbe:
		c.pending.finish(ref, reply{err: errSilent}, c.pulse.time())
	case isBeat:
		for _, b := range c.bindings() {
			b.giveUp(ref)
		}
	default:
		c.pending.finish(ref, reply{err: agent.Refusedf(agent.CodeUnavailable, "no instance of the agent listens")},
			c.pulse.time())
	}
}

// bindings are those that have calls, or may get some.
func (c *Communicator) bindings() []*binding {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.live))
}

// lost is told that the connection is gone: replies may be, too.
func (c *Communicator) lost(err error) {
	c.pending.finishAll(reply{err: agent.Errorf(agent.CodeOutcomeUnknown, "the connection to the broker was lost: %w",
		err)})
}

// hush ends what start began besides the inbox.
func (c *Communicator) hush() error {
	if c.pulse != nil {
		close(c.pulse.stop)
		<-c.pulse.done
		c.stopLost()
	}
	if c.stopRequests != nil {
		return c.stopRequests()
	}
	return nil
}
