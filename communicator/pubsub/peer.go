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
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
)

// A peer is a session to the instances of an agent. It holds no connection of its own.
type peer struct {
	*link
	session
	subject string
	info    atomic.Pointer[agent.Info] // set by Dial
	gate    calls.Gate
	once    sync.Once
	done    chan struct{} // closed by Close
	left    func()        // called by Close
}

// liveness returns that of a call that begins now.
func (p *peer) liveness() liveness {
	if p.clock == nil {
		return liveness{}
	}
	now := p.clock.now()
	return liveness{session: &p.session, sent: now, lastBeat: now}
}

func (p *peer) Info() agent.Info { return *p.info.Load() }

// Refresh asks the agent what it offers now, for Info. Calls go on meanwhile.
func (p *peer) Refresh(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, dialTimeout)
		defer cancel()
	}
	res, err := p.Call(ctx, &agent.Call{Op: bus.OpInfo, Agent: p.agent})
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

// Close implements [communicator.Peer].
func (p *peer) Close(ctx context.Context) error {
	p.gate.Shut()
	p.once.Do(func() { close(p.done) })
	p.left()
	if err := p.gate.Wait(ctx); err != nil {
		return fmt.Errorf("close the session to %s: %w", p.agent, err)
	}
	return nil
}

// Call implements [communicator.Peer].
func (p *peer) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if !p.gate.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the session is closed", target(call))
	}
	defer p.gate.Leave()
	now := time.Now()
	deadline, bounded := ctx.Deadline()
	if ctx.Err() != nil || bounded && !now.Before(deadline) {
		return nil, refusedByContext(ctx, call)
	}
	f, err := bus.CallFrame(call)
	if err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: %w", target(call), err)
	}
	f.Agent, f.ReplyTo = p.agent, p.inbox
	f.SetDeadline(now, deadline)

	w := p.pending.add(ctx, call.Back, p.liveness())
	defer p.pending.remove(w)
	p.clock.wake()
	f.Ref = p.pending.ref(w)
	if err := p.request(ctx, p.subject, f.Ref, &f, p.maxPayload); err != nil {
		return nil, p.notSent(ctx, call, err)
	}
	for {
		select {
		case r := <-w.reply:
			p.flushNotices(ctx, call, w)
			return p.result(call, r)
		case n := <-w.notices:
			notify(ctx, call.Back, n)
			continue
		case <-ctx.Done():
		case <-p.done:
		}
		select {
		case r := <-w.reply: // which was there as well
			p.flushNotices(ctx, call, w)
			return p.result(call, r)
		default:
		}
		p.sendCancel(p.agent, f.Ref)
		if err := ctx.Err(); err != nil {
			return nil, agent.Errorf(agent.CodeOf(err), "%s: no answer yet: %w", target(call), err)
		}
		return nil, agent.Errorf(agent.CodeOutcomeUnknown, "%s: the session was closed before the answer", target(call))
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
