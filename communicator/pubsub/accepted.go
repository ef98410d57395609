package pubsub

import (
	"container/list"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
)

// A job is a call that was accepted.
type job struct {
	b        *binding
	call     agent.Call
	ref      string
	replyTo  string
	deadline time.Time // zero: none

	// under binding.mu
	place    *list.Element // nil when not waiting
	cancel   context.CancelFunc
	canceled bool
	beat     int64 // the tick of its next heartbeat
}

// newJob is the call as the caller meant it.
func (b *binding) newJob(f *bus.Frame) (*job, *agent.Error) {
	call, err := f.Call()
	if err != nil {
		return nil, agent.Refusedf(agent.CodeInternal, "%w", err)
	}
	call.Agent = b.name
	deadline, refused := f.Deadline(time.Now())
	if refused != nil {
		return nil, refused
	}
	j := &job{b: b, ref: f.Ref, replyTo: f.ReplyTo, call: call, deadline: deadline}
	if f.Back {
		j.call.Back = &backChannel{b: b, j: j}
	}
	return j, nil
}

// accept runs the call, now or when a worker is free.
func (b *binding) accept(j *job) *agent.Error {
	if !b.gate.Enter() {
		return agent.Refusedf(agent.CodeUnavailable, "the agent is closed")
	}
	j.beat = b.c.pulse.time() + firstBeat
	b.mu.Lock()
	running, waiting := b.running, b.waiting.Len()
	now := running < b.c.o.MaxInFlight
	switch {
	case b.jobs[j.ref] != nil: // delivered twice by the broker, and never run twice
		b.mu.Unlock()
		b.gate.Leave()
		return nil
	case now:
		b.running++
		b.jobs[j.ref] = j
	case waiting < b.c.o.Queue:
		b.jobs[j.ref] = j
		j.place = b.waiting.PushBack(j)
	}
	b.mu.Unlock()
	b.c.pulse.rouse()
	switch {
	case now && !b.c.workers.start(j): // not after a Close that waited to the end
		for ; j != nil; j = b.next(j) {
			b.refuse(j)
		}
	case !now && waiting >= b.c.o.Queue:
		b.gate.Leave()
		return agent.Refusedf(agent.CodeResourceExhausted, "%d calls are running and %d waiting", running, waiting)
	}
	return nil
}

// work runs j and then what waits. The gate is left after the reply, so that whoever waits for it
// knows that the replies are out.
func (b *binding) work(j *job) {
	for j != nil {
		res, err := b.run(j)
		b.c.reply(j.replyTo, bus.KindReply, j.ref, res, err)
		j = b.next(j)
		b.gate.Leave()
	}
}

func (b *binding) next(done *job) *job {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.jobs, done.ref)
	if e := b.waiting.Front(); e != nil {
		j := b.waiting.Remove(e).(*job)
		j.place = nil
		return j
	}
	b.running--
	return nil
}

// run calls the agent. A panic of what is no agent.Host must not end the process either.
func (b *binding) run(j *job) (res *agent.Result, err error) {
	var ctx context.Context
	var cancel context.CancelFunc
	if j.deadline.IsZero() {
		ctx, cancel = context.WithCancel(b.ctx)
	} else {
		ctx, cancel = context.WithDeadline(b.ctx, j.deadline)
	}
	defer cancel()
	b.mu.Lock()
	j.cancel = cancel
	canceled := j.canceled
	b.mu.Unlock()
	if canceled {
		cancel()
	}
	if err := ctx.Err(); err != nil {
		return nil, agent.Refusedf(agent.CodeOf(err), "%s: %w before it began", j.call.Target(), err)
	}
	defer func() {
		if p := recover(); p != nil {
			b.c.o.Logger.Error("panic in a call", "agent", b.name, "call", j.call.ID, "panic", fmt.Sprint(p), "stack",
				string(debug.Stack()))
			res, err = nil, agent.Errorf(agent.CodeInternal, "%s panicked: %v", j.call.Target(), p)
		}
	}()
	return b.s.Call(ctx, &j.call)
}
