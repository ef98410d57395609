package pubsub

import (
	"sync/atomic"
	"time"
)

// Heartbeats are counted in ticks of a clock of their own, which stands still while the process
// does: a process that was stopped for a while blames nobody for it.
const (
	tick = 50 * time.Millisecond
	// firstBeat is how many ticks after its acceptance a call gets its first heartbeat: short calls
	// need none. beatEvery is how many lie between two.
	firstBeat = 2
	beatEvery = 10
	// maxSilence is how many ticks without a heartbeat end a call that had one: two are missing.
	maxSilence = 30
	// A call without a heartbeat yet may wait behind others. It ends after acceptSilence ticks
	// without any sign of life from its session, and after acceptWithin ticks in all.
	acceptSilence = 100
	acceptWithin  = 400
)

// A heartbeatClock drives the heartbeats of a communicator over a [Remote] driver. In each tick it
// sends the heartbeats that are due, and ends the calls that have missed theirs. It stops while
// there is nothing to do. now and wake may be called on nil.
type heartbeatClock struct {
	// onTick does what is due, and reports whether there is more to come.
	onTick func(now int64) bool

	ticks atomic.Int64
	idle  atomic.Bool
	woken chan struct{}
	stop  chan struct{}
	done  chan struct{}
}

func newHeartbeatClock(onTick func(now int64) bool) *heartbeatClock {
	p := &heartbeatClock{onTick: onTick, woken: make(chan struct{}, 1), stop: make(chan struct{}),
		done: make(chan struct{})}
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

// A session is what a process knows of the instances of an agent that it calls.
type session struct {
	agent    string
	lastSign atomic.Int64 // the tick of the last sign of life of any instance
}

// liveness is what a caller knows of the process that serves its call, in ticks of the heartbeat
// clock. It is zero where no heartbeats are expected.
//
//	sent, no heartbeat yet -> maxSilence ticks -> probed: does any instance subscribe?
//	                       -> acceptSilence ticks without anything for the session, or
//	                          acceptWithin ticks in all -> lost
//	a heartbeat came       -> maxSilence ticks without another -> lost
type liveness struct {
	session  *session
	sent     int64
	lastBeat int64 // when it was sent, or its last heartbeat came
	accepted bool  // a heartbeat came
	probed   bool
}

// check reports whether the call is lost, and whether it is to be probed. A call that nobody has
// accepted yet may wait behind others, so it gets more time while those are answered.
func (l *liveness) check(now int64) (lost, probe bool) {
	if l.accepted {
		return l.lastBeat < now-maxSilence, false
	}
	last := max(l.lastBeat, l.session.lastSign.Load())
	probe = !l.probed && l.lastBeat < now-maxSilence
	l.probed = l.probed || probe
	return last < now-acceptSilence || l.sent < now-acceptWithin, probe
}
