package pubsub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
)

// Dial implements [communicator.Dialer]. It asks the agent what it offers; that is what
// [communicator.Peer] Info returns until its Refresh(ctx) asks anew. An agent that nobody serves is
// unavailable, at once where the driver can tell, else when ctx ends (10 s without a deadline).
func (c *Communicator) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	p := &peer{c: c, name: name, subject: c.subjects.Call(name), done: make(chan struct{})}
	c.mu.Lock()
	err := c.start()
	if err == nil {
		c.peers[p] = struct{}{}
	}
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", name, err)
	}
	if err := p.Refresh(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("dial %s: %w", name, err), p.Close(ctx))
	}
	return p, nil
}

// Refresh asks the agent what it offers now, for Info. Calls go on meanwhile.
func (p *peer) Refresh(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, dialTimeout)
		defer cancel()
	}
	res, err := p.Call(ctx, &agent.Call{Op: bus.OpInfo, Agent: p.name})
	if err != nil {
		return err
	}
	var info agent.Info
	if err := json.Unmarshal(res.Structured, &info); err != nil {
		return agent.Errorf(agent.CodeInternal, "what it offers does not decode: %w", err)
	}
	p.info.Store(&info)
	return nil
}

// A peer is a session to the instances of an agent. It holds no connection of its own.
type peer struct {
	c        *Communicator
	name     string
	subject  string
	info     atomic.Pointer[agent.Info] // set by Dial
	gate     calls.Gate
	once     sync.Once
	done     chan struct{} // closed by Close
	lastSign atomic.Int64  // the tick of the last sign of life of any instance
}

// liveness returns that of a call that begins now.
func (p *peer) liveness() liveness {
	if p.c.clock == nil {
		return liveness{}
	}
	now := p.c.clock.now()
	return liveness{peer: p, sent: now, lastBeat: now}
}

func (p *peer) Info() agent.Info { return *p.info.Load() }

// Close implements [communicator.Peer].
func (p *peer) Close(ctx context.Context) error {
	p.gate.Shut()
	p.once.Do(func() { close(p.done) })
	p.c.mu.Lock()
	delete(p.c.peers, p)
	p.c.mu.Unlock()
	if err := p.gate.Wait(ctx); err != nil {
		return fmt.Errorf("close the session to %s: %w", p.name, err)
	}
	return nil
}

// Call implements [communicator.Peer].
func (p *peer) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if !p.gate.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the session is closed", target(call))
	}
	defer p.gate.Leave()
	c := p.c
	now := time.Now()
	deadline, bounded := ctx.Deadline()
	if ctx.Err() != nil || bounded && !now.Before(deadline) {
		return nil, refusedByContext(ctx, call)
	}
	f, err := bus.CallFrame(call)
	if err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: %w", target(call), err)
	}
	f.Agent, f.ReplyTo = p.name, c.inbox
	f.SetDeadline(now, deadline)

	w := c.pending.add(ctx, call.Back, p.liveness())
	defer c.pending.remove(w)
	c.clock.wake()
	f.Ref = c.pending.ref(w)
	if err := c.request(ctx, p.subject, f.Ref, &f, c.o.MaxPayload); err != nil {
		return nil, p.notSent(ctx, call, err)
	}
	for {
		select {
		case r := <-w.reply:
			p.flushNotices(ctx, call, w)
			return p.result(call, r)
		case n := <-w.notices:
			notify(ctx, call.Back, n)
		case <-ctx.Done():
			select {
			case r := <-w.reply:
				p.flushNotices(ctx, call, w)
				return p.result(call, r)
			default:
			}
			c.sendCancel(p.name, f.Ref)
			return nil, agent.Errorf(agent.CodeOf(ctx.Err()), "%s: no answer yet: %w", target(call), ctx.Err())
		case <-p.done:
			c.sendCancel(p.name, f.Ref)
			return nil, agent.Errorf(agent.CodeOutcomeUnknown, "%s: the session was closed before the answer",
				target(call))
		}
	}
}

// flushNotices delivers the notices that came before the reply.
func (p *peer) flushNotices(ctx context.Context, call *agent.Call, w *pendingReply) {
	for len(w.notices) > 0 {
		notify(ctx, call.Back, <-w.notices)
	}
}

func (p *peer) result(call *agent.Call, r reply) (*agent.Result, error) {
	if r.err != nil {
		return nil, fmt.Errorf("%s: %w", target(call), r.err)
	}
	return bus.ReadResult(r.payload, r.body)
}

// notSent returns what a failed send means for the call.
func (p *peer) notSent(ctx context.Context, call *agent.Call, err error) error {
	var refused *agent.Error
	switch {
	case errors.As(err, &refused):
		refused.Message = target(call) + ": " + refused.Message
		return refused
	case errors.Is(err, ErrNoSubscribers):
		return agent.Refusedf(agent.CodeUnavailable, "%s: no instance of the agent listens", target(call))
	case errors.Is(err, ErrNotSent) && ctx.Err() != nil:
		return refusedByContext(ctx, call)
	case errors.Is(err, ErrNotSent):
		return agent.Refusedf(agent.CodeUnavailable, "%s: %w", target(call), err)
	}
	return agent.Errorf(agent.CodeOutcomeUnknown, "%s: %w", target(call), err)
}

// target is how people write the callee: a question to the agent itself has no name.
func target(call *agent.Call) string {
	if call.Name == "" {
		return call.Agent
	}
	return call.Target()
}

func refusedByContext(ctx context.Context, call *agent.Call) error {
	err := ctx.Err()
	if err == nil {
		err = context.DeadlineExceeded // its time is over, its timer not yet
	}
	return agent.Refusedf(agent.CodeOf(err), "%s: %w before it was sent", target(call), err)
}

// sendCancel cancels a call that this process does not wait for any more. It is best effort: the
// callee's own deadline ends the call as well.
func (c *Communicator) sendCancel(name, ref string) {
	ctx, cancel := context.WithTimeout(c.ctx, cancelTimeout)
	defer cancel()
	f := bus.Frame{Kind: bus.KindCancel, Ref: ref}
	if err := c.send(ctx, c.subjects.Control(name), &f, 0); err != nil && !errors.Is(err, ErrNoSubscribers) {
		c.o.Logger.Debug("a cancellation was not sent", "agent", name, "error", err)
	}
}
