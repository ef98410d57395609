package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/stack"
)

// A binding serves one agent: at most so many calls at once, at most so many waiting.
type binding struct {
	*link
	name        string
	s           communicator.Service
	bounds      func() communicator.Bounds
	workers     *workers[served]
	unbound     func()       // called when it takes no more calls
	ended       func()       // called when it is closed
	stopCalls   func() error // once, as stopControl
	stopControl func() error
	gate        calls.Gate      // counts calls from their acceptance to their reply
	serving     context.Context // of every call
	cancel      context.CancelFunc
	calls       acceptedCalls
}

// served is a call with the binding that serves it: a job for a worker.
type served struct {
	b *binding
	a *acceptedCall
}

// subscribe returns when the agent can be called. It subscribes to cancellations first, so that
// none is missed.
func (b *binding) subscribe() error {
	control, err := bus.Receive(b.driver, "", b.subjects.Control(b.name), b.control)
	if err != nil {
		return err
	}
	calls, err := bus.Receive(b.driver, b.name, b.subjects.Call(b.name), b.receive)
	if err != nil {
		return errors.Join(err, control())
	}
	b.stopControl, b.stopCalls = sync.OnceValue(control), sync.OnceValue(calls)
	return nil
}

// receive accepts or refuses a call. It does not wait for its end.
func (b *binding) receive(m *message.Message) {
	f, refused := bus.Decode(m)
	if !b.subjects.IsReply(f.ReplyTo) || f.Ref == "" {
		b.log.Warn("a call that cannot be answered", "agent", b.name, "reply-to", f.ReplyTo, "error", refused)
		return
	}
	if refused == nil && f.Kind != bus.KindCall {
		refused = agent.Refusedf(agent.CodeUnimplemented, "a message of kind %.40q is not a call", f.Kind)
	}
	if refused == nil && f.Op == bus.OpInfo && b.gate.Enter() {
		defer b.gate.Leave()
		info, err := bus.Marshal(b.s.Info())
		b.reply(f.ReplyTo, bus.KindReply, f.Ref, &agent.Result{Structured: info}, err)
		return
	}
	var a *acceptedCall
	if refused == nil {
		a, refused = b.read(&f)
	}
	if refused == nil {
		refused = b.accept(a)
	}
	if refused != nil {
		refused.Message = b.name + "." + f.Name + ": " + refused.Message
		b.reply(f.ReplyTo, bus.KindReply, f.Ref, nil, refused)
	}
}

// control takes what is sent to all instances of the agent: cancellations. A call that is not known
// here runs in another instance.
func (b *binding) control(m *message.Message) {
	f, err := bus.Decode(m)
	if err == nil && f.Kind == bus.KindHeartbeat { // a probe: that it arrived is its answer
		return
	}
	if err != nil || f.Kind != bus.KindCancel {
		b.log.Debug("a control message was ignored", "agent", b.name, "kind", f.Kind, "error", err)
		return
	}
	b.cancelCall(f.Ref)
}

// read returns the call of a frame as its caller meant it.
func (b *binding) read(f *bus.Frame) (*acceptedCall, *agent.Error) {
	call, err := f.Call()
	if err != nil {
		return nil, agent.Refusedf(agent.CodeInternal, "%w", err)
	}
	call.Agent = b.name
	deadline, refused := f.Deadline(time.Now())
	if refused != nil {
		return nil, refused
	}
	a := &acceptedCall{ref: f.Ref, replyTo: f.ReplyTo, call: call, deadline: deadline}
	if f.Back {
		a.call.Back = &backChannel{link: b.link, a: a}
	}
	return a, nil
}

// accept starts the call, queues it, or refuses it.
func (b *binding) accept(a *acceptedCall) *agent.Error {
	if !b.gate.Enter() {
		return agent.Refusedf(agent.CodeUnavailable, "the agent is closed")
	}
	a.nextBeat = b.clock.now() + firstBeat
	most := b.bounds()
	done, running, waiting := b.calls.add(a, most, slices.Contains(a.call.Path, b.name))
	switch done {
	case callRuns:
		b.clock.wake()
		if !b.workers.start(served{b, a}) { // after a Close that was not waited for
			for ; a != nil; a = b.calls.next(a) {
				b.refuse(a)
			}
		}
	case callWaits:
		b.clock.wake()
	case callTwice:
		b.gate.Leave()
	case callRefused:
		b.gate.Leave()
		return agent.Refusedf(agent.CodeResourceExhausted, "the queue of agent %s is full: %d of %d calls wait, and "+
			"%d of %d run (%s)", b.name, waiting, most.MaxQueue, running, most.MaxInFlight, most.Keys)
	}
	return nil
}

// work runs a call, and then the calls that wait. It leaves the gate after the reply, so that Close
// returns when the replies are sent.
func (b *binding) work(a *acceptedCall) {
	for a != nil {
		res, err := b.run(a)
		b.reply(a.replyTo, bus.KindReply, a.ref, res, err)
		a = b.calls.next(a)
		b.gate.Leave()
	}
}

// run calls the agent. A service that is not an agent.Host may panic, which must not end the
// process.
func (b *binding) run(a *acceptedCall) (res *agent.Result, err error) {
	ctx, cancel := context.WithCancel(b.serving)
	defer cancel()
	call := &a.call
	if !a.deadline.IsZero() {
		var end func()
		ctx, call, end = calls.Bound(ctx, call, time.Until(a.deadline))
		defer end()
	}
	if !a.queued.IsZero() {
		ctx = calls.Arrived(ctx, &calls.Request{Queued: time.Since(a.queued)})
	}
	if b.calls.begin(a, cancel) {
		cancel()
	}
	if err := ctx.Err(); err != nil {
		return nil, agent.Refusedf(agent.CodeOf(err), "%s: %w before it began", a.call.Target(), err)
	}
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("panic in a call", "agent", b.name, "call", a.call.ID, "panic", fmt.Sprint(p), "stack",
				stack.OfPanic())
			res, err = nil, agent.Errorf(agent.CodeInternal, "%s panicked: %v", a.call.Target(), p)
		}
	}()
	return b.s.Call(ctx, call)
}

// cancelCall ends a call that its caller does not wait for any more.
func (b *binding) cancelCall(ref string) {
	if b.calls.cancel(ref) {
		b.gate.Leave()
	}
}

// Close implements [communicator.Binding].
func (b *binding) Close(ctx context.Context) error {
	b.gate.Shut()
	b.unbound()
	errs := []error{b.stopCalls(), b.gate.Wait(ctx)} // calls can still be cancelled meanwhile
	if errs[1] != nil {
		for _, a := range b.calls.abandon() { // those that run are cancelled
			b.refuse(a)
		}
	}
	b.cancel()
	errs = append(errs, b.stopControl())
	b.ended()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close %s: %w", b.name, err)
	}
	return nil
}

// refuse ends a call that was accepted and cannot run any more.
func (b *binding) refuse(a *acceptedCall) {
	b.reply(a.replyTo, bus.KindReply, a.ref, nil, agent.Refusedf(agent.CodeUnavailable, "%s: the agent is closed",
		a.call.Target()))
	b.gate.Leave()
}
