package pubsub

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// acceptedCalls are the calls that a binding has accepted and not answered yet: so many run at
// once, so many wait for that.
type acceptedCalls struct {
	mu      sync.Mutex
	byRef   map[string]*acceptedCall
	waiting list.List // of *acceptedCall
	running int
}

// An acceptedCall is a call that a binding has accepted and not answered yet:
//
//	accepted -> waits for a worker -> runs -> its reply is sent
//	                               -> canceled while it waits: there is no reply
type acceptedCall struct {
	call     agent.Call
	ref      string
	replyTo  string
	deadline time.Time // zero: none

	// under acceptedCalls.mu
	place    *list.Element // in the queue; nil when it does not wait
	queued   time.Time     // zero: it did not have to wait
	cancel   context.CancelFunc
	canceled bool
	nextBeat int64 // the tick of its next heartbeat
	below    bool  // another call of its tree runs here: it does not count
}

// An admission is what add did with a call.
type admission int

const (
	callRuns admission = iota
	callWaits
	callTwice // the broker delivered it twice: it runs once
	callRefused
)

// add takes a call within the bounds. below: another call of its tree runs here, for whose end it
// would wait. running and waiting are the numbers before it.
func (q *acceptedCalls) add(a *acceptedCall, most communicator.Bounds, below bool) (_ admission, running, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	running, waiting = q.running, q.waiting.Len()
	switch {
	case q.byRef[a.ref] != nil:
		return callTwice, running, waiting
	case below:
		a.below = true
		q.byRef[a.ref] = a
		return callRuns, running, waiting
	case running < most.MaxInFlight:
		q.running++
		q.byRef[a.ref] = a
		return callRuns, running, waiting
	case waiting < most.MaxQueue:
		q.byRef[a.ref] = a
		a.place, a.queued = q.waiting.PushBack(a), time.Now()
		return callWaits, running, waiting
	}
	return callRefused, running, waiting
}

// begin says how a call that runs is canceled. It reports whether it is already.
func (q *acceptedCalls) begin(a *acceptedCall, cancel context.CancelFunc) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	a.cancel = cancel
	return a.canceled
}

// next removes a call that is done and returns the next one that waits, or nil: then a worker is
// free.
func (q *acceptedCalls) next(done *acceptedCall) *acceptedCall {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.byRef, done.ref)
	if done.below {
		return nil
	}
	if e := q.waiting.Front(); e != nil {
		a := q.waiting.Remove(e).(*acceptedCall)
		a.place = nil
		return a
	}
	q.running--
	return nil
}

// cancel ends a call. It reports whether the call waited: then it is removed, and never runs.
func (q *acceptedCalls) cancel(ref string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.byRef[ref]
	switch {
	case a == nil:
	case a.place != nil:
		q.waiting.Remove(a.place)
		delete(q.byRef, a.ref)
		return true
	case a.cancel != nil:
		a.cancel()
	default:
		a.canceled = true
	}
	return false
}

// abandon removes the calls that wait.
func (q *acceptedCalls) abandon() (left []*acceptedCall) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.waiting.Front(); e != nil; e = q.waiting.Front() {
		a := q.waiting.Remove(e).(*acceptedCall)
		a.place = nil
		delete(q.byRef, a.ref)
		left = append(left, a)
	}
	return left
}

// due returns the calls that need a heartbeat now, and whether there are any calls at all.
func (q *acceptedCalls) due(now int64) (due []*acceptedCall, left bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range q.byRef {
		if a.nextBeat <= now {
			a.nextBeat = now + beatEvery
			due = append(due, a)
		}
	}
	return due, len(q.byRef) > 0
}
