// Package delivery is how the events of a topic reach the handler of a subscription, whatever
// broker carries them: a bounded number at once, those with one key one after the other, each tried
// again when it failed. The brokers of the runtime and agenttest, which has none, share it.
package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/stack"
)

// The defaults of [Options].
const (
	DefaultConcurrency = 16
	DefaultAttempts    = 3
	DefaultBackoff     = 100 * time.Millisecond
	// DefaultPublishTimeout is how long a publisher waits for room at a slow subscriber.
	DefaultPublishTimeout = 5 * time.Second

	maxBackoff = 10 * time.Second
)

// A Handler handles an event; attempt is 1 for the first delivery. It is called concurrently,
// except for events that have the same key.
type Handler func(ctx context.Context, p agent.Event, attempt int) error

// Options configures a [Dispatcher]. Every field must be set.
type Options struct {
	// Agent subscribes to Topic.
	Agent, Topic string
	// Concurrency is how many events are handled at once, those that wait for their key's turn or
	// for another attempt included.
	Concurrency int
	// Attempts is how often a failing handler is tried in all. An error that is [Final] is not
	// tried again.
	Attempts int
	// Backoff is the time before the second attempt, doubled with each, at most 10 s.
	Backoff time.Duration
	// OnDeadLetter gets what no attempt could handle. It may be called concurrently.
	OnDeadLetter func(p agent.Event, attempts int, err error)
	Logger       *slog.Logger
}

// A Dispatcher hands the events of one subscription to its handler. Whoever takes events from the
// broker calls Reserve and Accept for one after the other; what Accept returned goes to Handle, in
// a goroutine of its own, or to Drop.
type Dispatcher struct {
	o     Options
	fn    Handler
	slots chan struct{}
	order Order
	gate  calls.Gate // counts events from Accept to the end of their handling
}

// New returns a Dispatcher that calls fn. It starts nothing.
func New(o Options, fn Handler) *Dispatcher {
	return &Dispatcher{o: o, fn: fn, slots: make(chan struct{}, o.Concurrency)}
}

// An Accepted event has a slot, and its place behind the event before it with the same key.
type Accepted struct {
	Event agent.Event
	turn  Turn
}

// Reserve waits for a slot for the next event. False: stop or gone was closed before there was one.
func (d *Dispatcher) Reserve(stop, gone <-chan struct{}) bool {
	select {
	case d.slots <- struct{}{}:
		return true
	case <-stop:
	case <-gone:
	}
	return false
}

// Accept gives the event that a slot was reserved for its place. It must not be called after Wait.
func (d *Dispatcher) Accept(p agent.Event) *Accepted {
	d.gate.Enter()
	return &Accepted{Event: p, turn: d.order.Take(p.Key)}
}

// Handle waits for the event's turn and calls the handler until it succeeds, fails for good or ctx
// ends. A panic of the handler is an error.
func (d *Dispatcher) Handle(ctx context.Context, e *Accepted) {
	defer d.leave(e)
	e.turn.Wait() // whoever is before stops when ctx ends, at the latest
	waits := backoff.Policy{Initial: d.o.Backoff, Multiplier: 2, Max: maxBackoff}
	for attempt := 1; ; attempt++ {
		err := ctx.Err()
		if err == nil {
			err = Try(d.o.Logger, d.o.Agent, d.o.Topic, func() error { return d.fn(ctx, e.Event, attempt) })
		}
		if err == nil {
			return
		}
		if attempt == d.o.Attempts || Final(err) || ctx.Err() != nil {
			d.o.OnDeadLetter(e.Event, attempt, err)
			return
		}
		wait := waits.Wait(attempt)
		d.o.Logger.Warn("an event handler failed", "agent", d.o.Agent, "topic", d.o.Topic, "event", e.Event.ID,
			"attempt", attempt, "again in", wait, "error", err)
		_ = backoff.Sleep(ctx, wait) // the loop looks
	}
}

// Drop gives the event up without a try.
func (d *Dispatcher) Drop(e *Accepted, why error) {
	defer d.leave(e)
	d.o.OnDeadLetter(e.Event, 0, why)
}

func (d *Dispatcher) leave(e *Accepted) {
	e.turn.Done()
	<-d.slots
	d.gate.Leave()
}

// Wait returns when every accepted event has been handled, or with an error when ctx ends before.
// Safe to call twice and concurrently.
func (d *Dispatcher) Wait(ctx context.Context) error {
	d.gate.Shut()
	return d.gate.Wait(ctx)
}

// Try calls a handler and makes a panic in it an error, with the stack in the log.
func Try(log *slog.Logger, name, topic string, handle func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("panic in an event handler", "agent", name, "topic", topic, "panic", fmt.Sprint(v), "stack",
				stack.OfPanic())
			err = agent.Errorf(agent.CodeInternal, "the handler of %s panicked: %v", topic, v)
		}
	}()
	return handle()
}

// Final reports whether a handler's error would come again with each attempt.
func Final(err error) bool {
	switch agent.CodeOf(err) {
	case agent.CodeInvalidArgument, agent.CodeNotFound, agent.CodeUnimplemented:
		return true
	}
	return false
}

// Call is an event as the call that brings it to an agent.
func Call(name string, p agent.Event, attempt int) *agent.Call {
	c := &agent.Call{ID: p.ID, Op: agent.OpEvent, Agent: name, Name: p.Topic, Input: p.Payload, Root: p.ID,
		From: agent.Identity{Agent: p.Source, Trusted: true}, Key: p.Key, Attempt: attempt, Meta: p.Meta}
	if p.Source != "" {
		c.Path = []string{p.Source}
	}
	return c
}

// Event is the way back.
func Event(c *agent.Call) agent.Event {
	return agent.Event{ID: c.ID, Topic: c.Name, Source: c.From.Agent, Key: c.Key, Payload: c.Input, Meta: c.Meta}
}
