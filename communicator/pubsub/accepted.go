package pubsub

import (
	"container/list"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
)

// An acceptedCall is a call that a binding has accepted and not answered yet:
//
//	accepted -> waits for a worker -> runs -> its reply is sent
//	                               -> canceled while it waits: there is no reply
type acceptedCall struct {
	b        *binding
	call     agent.Call
	ref      string
	replyTo  string
	deadline time.Time // zero: none

	// under binding.mu
	place    *list.Element // in the queue; nil when it does not wait
	cancel   context.CancelFunc
	canceled bool
	nextBeat int64 // the tick of its next heartbeat
}

// newAcceptedCall returns the call of a frame as its caller meant it.
func (b *binding) newAcceptedCall(f *bus.Frame) (*acceptedCall, *agent.Error) {
	call, err := f.Call()
	if err != nil {
		return nil, agent.Refusedf(agent.CodeInternal, "%w", err)
	}
	call.Agent = b.name
	deadline, refused := f.Deadline(time.Now())
	if refused != nil {
		return nil, refused
	}
	a := &acceptedCall{b: b, ref: f.Ref, replyTo: f.ReplyTo, call: call, deadline: deadline}
	if f.Back {
		a.call.Back = &backChannel{b: b, a: a}
	}
	return a, nil
}

// accept starts the call, queues it, or refuses it.
func (b *binding) accept(a *acceptedCall) *agent.Error {
	if !b.gate.Enter() {
		return agent.Refusedf(agent.CodeUnavailable, "the agent is closed")
	}
	a.nextBeat = b.c.clock.now() + firstBeat
	b.mu.Lock()
	running, waiting := b.running, b.waiting.Len()
	now := running < b.c.o.MaxInFlight
	switch {
	case b.calls[a.ref] != nil: // the broker delivered it twice: it runs once
		b.mu.Unlock()
		b.gate.Leave()
		return nil
	case now:
		b.running++
		b.calls[a.ref] = a
	case waiting < b.c.o.Queue:
		b.calls[a.ref] = a
		a.place = b.waiting.PushBack(a)
	}
	b.mu.Unlock()
	b.c.clock.wake()
	switch {
	case now && !b.c.workers.start(a): // after a Close that was not waited for
		for ; a != nil; a = b.next(a) {
			b.refuse(a)
		}
	case !now && waiting >= b.c.o.Queue:
		b.gate.Leave()
		return agent.Refusedf(agent.CodeResourceExhausted, "%d calls are running and %d waiting", running, waiting)
	}
	return nil
}

// work runs a call, and then the calls that wait. It leaves the gate after the reply, so that Close
// returns when the replies are sent.
func (b *binding) work(a *acceptedCall) {
	for a != nil {
		res, err := b.run(a)
		b.c.reply(a.replyTo, bus.KindReply, a.ref, res, err)
		a = b.next(a)
		b.gate.Leave()
	}
}

// next returns the next call that waits, or nil: then a worker is free.
func (b *binding) next(done *acceptedCall) *acceptedCall {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, done.ref)
	if e := b.waiting.Front(); e != nil {
		a := b.waiting.Remove(e).(*acceptedCall)
		a.place = nil
		return a
	}
	b.running--
	return nil
}

// run calls the agent. A service that is not an agent.Host may panic, which must not end the
// process.
func (b *binding) run(a *acceptedCall) (res *agent.Result, err error) {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	call := &a.call
	if !a.deadline.IsZero() {
		var end func()
		ctx, call, end = calls.Bound(ctx, call, time.Until(a.deadline))
		defer end()
	}
	b.mu.Lock()
	a.cancel = cancel
	canceled := a.canceled
	b.mu.Unlock()
	if canceled {
		cancel()
	}
	if err := ctx.Err(); err != nil {
		return nil, agent.Refusedf(agent.CodeOf(err), "%s: %w before it began", a.call.Target(), err)
	}
	defer func() {
		if p := recover(); p != nil {
			b.c.o.Logger.Error("panic in a call", "agent", b.name, "call", a.call.ID, "panic", fmt.Sprint(p), "stack",
				string(debug.Stack()))
			res, err = nil, agent.Errorf(agent.CodeInternal, "%s panicked: %v", a.call.Target(), p)
		}
	}()
	return b.s.Call(ctx, call)
}
