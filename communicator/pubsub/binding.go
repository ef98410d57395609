package pubsub

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
)

// Serve implements [communicator.Server]. Other processes may serve the same name; in this
// communicator it is an error.
func (c *Communicator) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	name := s.Info().Name
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, agent.AsError(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("serve %s: %w", name, err)
	}
	if _, dup := c.bound[name]; dup {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "serve %s: the name is taken", name)
	}
	b := &binding{c: c, name: name, s: s, calls: map[string]*acceptedCall{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if err := b.subscribe(); err != nil {
		b.cancel()
		return nil, agent.Errorf(agent.CodeUnavailable, "serve %s: %w", name, err)
	}
	c.bound[name], c.live[b] = b, struct{}{}
	return b, nil
}

// A binding serves one agent: at most MaxInFlight calls at once, at most Queue waiting.
type binding struct {
	c           *Communicator
	name        string
	s           communicator.Service
	stopCalls   func() error // once, as stopControl
	stopControl func() error
	gate        calls.Gate      // counts calls from their acceptance to their reply
	ctx         context.Context // of every call
	cancel      context.CancelFunc

	mu      sync.Mutex
	calls   map[string]*acceptedCall // by ref, until their reply
	waiting list.List                // of *acceptedCall
	running int
}

// subscribe returns when the agent can be called. It subscribes to cancellations first, so that
// none is missed.
func (b *binding) subscribe() error {
	control, err := bus.Receive(b.c.driver, "", b.c.subjects.Control(b.name), b.control)
	if err != nil {
		return err
	}
	calls, err := bus.Receive(b.c.driver, b.name, b.c.subjects.Call(b.name), b.receive)
	if err != nil {
		return errors.Join(err, control())
	}
	b.stopControl, b.stopCalls = sync.OnceValue(control), sync.OnceValue(calls)
	return nil
}

// receive accepts or refuses a call. It does not wait for its end.
func (b *binding) receive(m *message.Message) {
	f, refused := bus.Decode(m)
	if !b.c.subjects.IsReply(f.ReplyTo) || f.Ref == "" {
		b.c.o.Logger.Warn("a call that cannot be answered", "agent", b.name, "reply-to", f.ReplyTo, "error", refused)
		return
	}
	if refused == nil && f.Kind != bus.KindCall {
		refused = agent.Refusedf(agent.CodeUnimplemented, "a message of kind %.40q is not a call", f.Kind)
	}
	if refused == nil && f.Op == bus.OpInfo && b.gate.Enter() {
		defer b.gate.Leave()
		res, err := agent.JSONResult(b.s.Info())
		b.c.reply(f.ReplyTo, bus.KindReply, f.Ref, res, err)
		return
	}
	var a *acceptedCall
	if refused == nil {
		a, refused = b.newAcceptedCall(&f)
	}
	if refused == nil {
		refused = b.accept(a)
	}
	if refused != nil {
		refused.Message = b.name + "." + f.Name + ": " + refused.Message
		b.c.reply(f.ReplyTo, bus.KindReply, f.Ref, nil, refused)
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
		b.c.o.Logger.Debug("a control message was ignored", "agent", b.name, "kind", f.Kind, "error", err)
		return
	}
	b.cancelCall(f.Ref)
}

// cancelCall ends a call that its caller does not wait for any more.
func (b *binding) cancelCall(ref string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.calls[ref]
	switch {
	case a == nil:
	case a.place != nil:
		b.waiting.Remove(a.place)
		delete(b.calls, a.ref)
		b.gate.Leave()
	case a.cancel != nil:
		a.cancel()
	default:
		a.canceled = true
	}
}

// Close implements [communicator.Binding].
func (b *binding) Close(ctx context.Context) error {
	b.gate.Shut()
	b.c.mu.Lock()
	if b.c.bound[b.name] == b {
		delete(b.c.bound, b.name)
	}
	b.c.mu.Unlock()
	errs := []error{b.stopCalls(), b.gate.Wait(ctx)} // calls can still be cancelled meanwhile
	if errs[1] != nil {
		b.abandon()
	}
	b.cancel()
	errs = append(errs, b.stopControl())
	b.c.mu.Lock()
	delete(b.c.live, b)
	b.c.mu.Unlock()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close %s: %w", b.name, err)
	}
	return nil
}

// abandon refuses the calls that wait; Close cancels those that run.
func (b *binding) abandon() {
	b.mu.Lock()
	var left []*acceptedCall
	for e := b.waiting.Front(); e != nil; e = b.waiting.Front() {
		a := b.waiting.Remove(e).(*acceptedCall)
		a.place = nil
		delete(b.calls, a.ref)
		left = append(left, a)
	}
	b.mu.Unlock()
	for _, a := range left {
		b.refuse(a)
	}
}

// refuse ends a call that was accepted and cannot run any more.
func (b *binding) refuse(a *acceptedCall) {
	b.c.reply(a.replyTo, bus.KindReply, a.ref, nil, agent.Refusedf(agent.CodeUnavailable, "%s: the agent is closed",
		a.call.Target()))
	b.gate.Leave()
}
