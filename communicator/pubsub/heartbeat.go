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

// What follows the ref in the tokens of requests that are not calls.
const (
	beatToken  = "!"
	probeToken = "!!"
)

// A heartbeatClock drives the heartbeats of a communicator over a [Remote] driver. In each tick it
// sends the heartbeats that are due, and ends the calls that have missed theirs. It stops while
// there is nothing to do. now and wake may be called on nil.
type heartbeatClock struct {
	c     *Communicator
	ticks atomic.Int64
	idle  atomic.Bool
	woken chan struct{}
	stop  chan struct{}
	done  chan struct{}
}

func newHeartbeatClock(c *Communicator) *heartbeatClock {
	p := &heartbeatClock{c: c, woken: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	p.ticks.Store(1)
	return p
}

// now is the current tick; 0 without a clock.
func (p *heartbeatClock) now() int64 {
	if p == nil {
		return 0
	}
	return p.ticks.Load()
}

// wake is called after there is a new call to watch.
func (p *heartbeatClock) wake() {
	if p != nil && p.idle.Load() && p.idle.CompareAndSwap(true, false) {
		p.woken <- struct{}{}
	}
}

// run ticks until it is stopped.
func (p *heartbeatClock) run() {
	defer close(p.done)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
		}
		if p.onTick(p.ticks.Add(1)) {
			continue
		}
		p.idle.Store(true)
		// A call that came just before that did not wake the clock, so look once more.
		if p.onTick(p.ticks.Load()) && p.idle.CompareAndSwap(true, false) {
			continue
		}
		t.Stop()
		select {
		case <-p.stop:
			return
		case <-p.woken:
			t.Reset(tick)
		}
	}
}

// onTick does what is due, and reports whether there is more to come.
func (p *heartbeatClock) onTick(now int64) bool {
	c := p.c
	probes, more := c.pending.finishLost(now, reply{err: errNoHeartbeat})
	for _, p := range probes {
		f := bus.Frame{Kind: bus.KindHeartbeat, Ref: p.ref, Agent: p.agent}
		err := c.request(c.ctx, c.subjects.Control(p.agent), p.ref+probeToken, &f, 0)
		if errors.Is(err, ErrNoSubscribers) {
			c.noSubscribers(p.ref + probeToken)
		}
	}
	for _, b := range c.bindings() {
		due, left := b.due(now)
		more = more || left
		for _, a := range due {
			f := bus.Frame{Kind: bus.KindHeartbeat, Ref: a.ref, Agent: b.name}
			switch err := c.request(c.ctx, a.replyTo, a.ref+beatToken, &f, 0); {
			case errors.Is(err, ErrNoSubscribers):
				b.cancelCall(a.ref)
			case err != nil:
				c.o.Logger.Debug("a heartbeat was not sent", "agent", b.name, "ref", a.ref, "error", err)
			}
		}
	}
	return more
}

// due returns the calls that need a heartbeat now, and whether there are any calls at all.
func (b *binding) due(now int64) (due []*acceptedCall, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.calls {
		if a.nextBeat <= now {
			a.nextBeat = now + beatEvery
			due = append(due, a)
		}
	}
	return due, len(b.calls) > 0
}

// receiveHeartbeat takes the heartbeat of a call. When this process does not wait for the call any
// more, the callee does not know that yet: it gets a cancellation.
func (c *Communicator) receiveHeartbeat(f *bus.Frame) {
	if !c.pending.heartbeat(f.Ref, c.clock.now()) && agent.CheckAgentName(f.Agent) == nil {
		c.sendCancel(f.Agent, f.Ref)
	}
}

var errNoHeartbeat = agent.Errorf(agent.CodeOutcomeUnknown, "no heartbeat: the process that got the call is gone")

// noSubscribers is called for a request without subscribers: a call that did not arrive, a probe
// for one that did, or the heartbeat of one whose caller is gone.
func (c *Communicator) noSubscribers(token string) {
	ref, isProbe := strings.CutSuffix(token, probeToken)
	ref, isBeat := strings.CutSuffix(ref, beatToken)
	switch {
	case isProbe:
		c.pending.finish(ref, reply{err: errNoHeartbeat}, c.clock.now())
	case isBeat:
		for _, b := range c.bindings() {
			b.cancelCall(ref)
		}
	default:
		c.pending.finish(ref, reply{err: agent.Refusedf(agent.CodeUnavailable, "no instance of the agent listens")},
			c.clock.now())
	}
}

// bindings are those that have calls, or may get some.
func (c *Communicator) bindings() []*binding {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.live))
}

// connectionLost ends all pending calls: their replies may be lost with the connection.
func (c *Communicator) connectionLost(err error) {
	c.pending.finishAll(reply{err: agent.Errorf(agent.CodeOutcomeUnknown, "the connection to the broker was lost: %w",
		err)})
}

// stopHeartbeats ends what start began besides the inbox.
func (c *Communicator) stopHeartbeats() error {
	if c.clock != nil {
		close(c.clock.stop)
		<-c.clock.done
		c.stopLost()
	}
	if c.stopRequests != nil {
		return c.stopRequests()
	}
	return nil
}
