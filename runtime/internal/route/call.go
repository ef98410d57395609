package route

import (
	"context"
	"errors"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

// Call implements [agent.Caller]: the least loaded instance that is up serves, in turn among
// equals; those with one idempotency key go to one instance. Where none takes it, it may wait: see
// [Limits].
func (p *Pool) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	l := p.laneOf(c)
	at := p.enter(l, c, nil)
	if at.n < 0 {
		var err error
		if at, err = p.await(ctx, l, c, nil); err != nil {
			return p.passOn(ctx, c, err)
		}
	}
	res, err := p.call(ctx, l, at, c, false)
	if err == nil || !errors.Is(err, communicator.ErrEnded) && !errors.Is(err, communicator.ErrForgotten) {
		return res, err
	}
	at, gone := p.await(ctx, l, c, at.session)
	if errors.Is(gone, errReplaced) {
		return p.passOn(ctx, c, gone) // the first one did not run
	}
	if gone != nil {
		return nil, err
	}
	forgotten := errors.Is(err, communicator.ErrForgotten)
	res, err = p.call(ctx, l, at, c, true) // the first one did not run
	if forgotten && errors.Is(err, communicator.ErrForgotten) {
		e := agent.AsError(err) // so it is the call that the server refuses
		again := agent.Refusedf(agent.CodeInternal, "%w, nor a new one", e)
		again.Message, again.Details = e.Message+", nor a new one", e.Details
		return nil, again
	}
	return res, err
}

// passOn makes a call that did not run with what has taken the pool's place, if that is why.
func (p *Pool) passOn(ctx context.Context, c *agent.Call, why error) (*agent.Result, error) {
	if !errors.Is(why, errReplaced) {
		return nil, why
	}
	return (*p.next.Load()).Call(ctx, c)
}

// call makes a call for which there is a place, and gives that back. again: on a fresh session.
func (p *Pool) call(ctx context.Context, l *lane, at place, c *agent.Call, again bool) (res *agent.Result, err error) {
	i, ended := p.instances[at.n], false
	defer func() {
		if !ended { // a panic
			err = agent.Errorf(agent.CodeInternal, "panic")
		}
		p.leave(l, at, err, again)
	}()
	i.served.Add(1)
	res, err = at.session.Call(ctx, c)
	ended = true
	return res, err
}

func (p *Pool) leave(l *lane, at place, err error, again bool) {
	if b := l.breaker(at.n); b != nil {
		if errors.Is(err, communicator.ErrEnded) || errors.Is(err, communicator.ErrForgotten) && !again {
			err = errNotSent
		}
		p.tell(l, at.n, b.Leave(at.turn, err, l.Patience))
	}
	p.instances[at.n].gate.Leave()
	if at.slot {
		p.release(l, at.n)
	}
}

// errNotSent is how a call ended, for a breaker, whose session was over: the next one may be well.
var errNotSent = agent.Refusedf(agent.CodeCanceled, "its session had ended")

// tell reports what a breaker has become.
func (p *Pool) tell(l *lane, n int, became resilience.BreakerState) {
	if became == "" {
		return
	}
	p.changed() // those who wait for a slot of it do not any more, or the other way round
	if p.onBreaker != nil {
		p.onBreaker(p.instances[n], l.tool, l.breaker(n).Look())
	}
}
