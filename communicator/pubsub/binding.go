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
	"github.com/openmas/openmas/internal/gate"
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
	b := &binding{c: c, name: name, s: s, jobs: map[string]*job{}}
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
	gate        gate.Gate       // counts calls from their acceptance to their reply
	ctx         context.Context // of every call
	cancel      context.CancelFunc

	mu      sync.Mutex
	jobs    map[string]*job // all that were accepted and not replied to, by ref
	waiting list.List       // of *job
	running int
}

// subscribe is done when it can be called. Cancellations first, so that none is missed.
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

// receive accepts or refuses a call. It never waits for one.
func (b *binding) receive(m *message.Message) {
	f, refused := bus.Decode(m)
	if !b.c.subjects.IsReply(f.ReplyTo) || f.Ref == "" {
		b.c.o.Logger.Warn("a call that cannot be answered", "agent", b.name, "reply-to", f.ReplyTo, "error", refused)
		return
	}
	if refused == nil && f.Kind != bus.KindCall {
		refused = agent.Refusedf(agent.CodeUnimplemented, "a message of kind %.40q is no call", f.Kind)
	}
	if refused == nil && f.Op == bus.OpInfo && b.gate.Enter() {
		defer b.gate.Leave()
		res, err := agent.JSONResult(b.s.Info())
		b.c.reply(f.ReplyTo, bus.KindReply, f.Ref, res, err)
		return
	}
	var j *job
	if refused == nil {
		j, refused = b.newJob(&f)
	}
	if refused == nil {
		refused = b.accept(j)
	}
	if refused != nil {
		refused.Message = b.name + "." + f.Name + ": " + refused.Message
		b.c.reply(f.ReplyTo, bus.KindReply, f.Ref, nil, refused)
	}
}

// control takes what concerns all instances of the agent: cancellations. What is not known here is
// for another instance.
func (b *binding) control(m *message.Message) {
	f, err := bus.Decode(m)
	if err == nil && f.Kind == bus.KindHeartbeat { // whoever asks knows by now that somebody is there
		return
	}
	if err != nil || f.Kind != bus.KindCancel {
		b.c.o.Logger.Debug("a control message of no use", "agent", b.name, "kind", f.Kind, "error", err)
		return
	}
	b.giveUp(f.Ref)
}

// giveUp ends a call that nobody waits for.
func (b *binding) giveUp(ref string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.jobs[ref]
	switch {
	case j == nil:
	case j.place != nil: // nobody waits for it: no reply
		b.waiting.Remove(j.place)
		delete(b.jobs, j.ref)
		b.gate.Leave()
	case j.cancel != nil:
		j.cancel()
	default:
		j.canceled = true
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
	errs := []error{b.stopCalls(), b.gate.Wait(ctx)} // cancellations are still of use meanwhile
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

// abandon refuses what waits; what runs is cancelled by Close.
func (b *binding) abandon() {
	b.mu.Lock()
	var left []*job
	for e := b.waiting.Front(); e != nil; e = b.waiting.Front() {
		j := b.waiting.Remove(e).(*job)
		j.place = nil
		delete(b.jobs, j.ref)
		left = append(left, j)
	}
	b.mu.Unlock()
	for _, j := range left {
		b.refuse(j)
	}
}

// refuse ends a job that was accepted and cannot run any more.
func (b *binding) refuse(j *job) {
	b.c.reply(j.replyTo, bus.KindReply, j.ref, nil, agent.Refusedf(agent.CodeUnavailable, "%s: the agent is closed",
		j.call.Target()))
	b.gate.Leave()
}
