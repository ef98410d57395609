package pubsub

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/gate"
)

const maxEventBackoff = 10 * time.Second

// A feed stands between a driver's subscription and the Router, which runs a goroutine per message,
// in no order and without a bound: it lets no more through than may be handled at once, and gives
// each event its place behind the one before it with the same key.
type feed struct {
	e            *Events
	group, topic string
	fn           EventHandler
	sub          message.Subscriber
	in           <-chan *message.Message
	out          chan *message.Message
	slots        chan struct{}
	gate         gate.Gate       // counts events from their acknowledgement to the end of their handling
	handling     context.Context // of the handlers
	cancel       context.CancelFunc
	stopped      context.Context // done: take no more events
	stop         context.CancelFunc
	once         sync.Once
	closeErr     error
	done         chan struct{} // closed when run has ended

	mu    sync.Mutex
	tails map[string]chan struct{} // by key: closed when the last event that came was handled
}

// A delivery is an event on its way through the Router.
type delivery struct {
	p            agent.Publication
	before, done chan struct{} // of its key; nil without
}

type deliveryKey struct{}

func newFeed(e *Events, group, topic string, fn EventHandler) (*feed, error) {
	sub, err := e.driver.Subscriber(group)
	if err != nil {
		return nil, err
	}
	f := &feed{e: e, group: group, topic: topic, fn: fn, sub: sub, out: make(chan *message.Message),
		slots: make(chan struct{}, e.o.Concurrency),
		done:  make(chan struct{}), tails: map[string]chan struct{}{}}
	f.handling, f.cancel = context.WithCancel(context.Background())
	f.stopped, f.stop = context.WithCancel(context.Background())
	if f.in, err = sub.Subscribe(f.stopped, e.subjects.Event(topic)); err != nil {
		f.cancel()
		f.stop()
		return nil, errors.Join(err, sub.Close())
	}
	go f.run()
	return f, nil
}

// Subscribe implements watermill's Subscriber, for the Router.
func (f *feed) Subscribe(context.Context, string) (<-chan *message.Message, error) { return f.out, nil }

// Close implements watermill's Subscriber. The Router calls it when it is closed, after end.
func (f *feed) Close() error {
	f.stop()
	return nil
}

// end takes no more events than the driver still hands over on closing, and waits for the handlers,
// at most until ctx ends.
func (f *feed) end(ctx context.Context) error {
	defer context.AfterFunc(ctx, f.stop)()
	f.once.Do(func() { f.closeErr = f.sub.Close() })
	if !f.e.routing.Load() {
		f.stop()
	}
	<-f.done
	f.gate.Shut()
	err := f.gate.Wait(ctx)
	f.cancel()
	if err := errors.Join(err, f.closeErr); err != nil {
		return fmt.Errorf("end the subscription of %s to %s: %w", f.group, f.topic, err)
	}
	return nil
}

// run passes events on in their order, one when there is a slot for it.
func (f *feed) run() {
	defer close(f.done)
	defer close(f.out)
	for m := range f.in {
		p, err := bus.DecodeEvent(m)
		if err != nil {
			m.Ack()
			f.e.o.OnDead(DeadEvent{Group: f.group, Publication: p, Err: err})
			continue
		}
		select {
		case f.slots <- struct{}{}:
		case <-f.stopped.Done():
			m.Nack()
			continue
		case <-m.Context().Done(): // the driver was closed, and counts it among the dead
			continue
		}
		m.Ack()
		f.gate.Enter() // it is shut after run has ended
		d := f.ticket(p)
		next := message.NewMessage(m.UUID, message.Payload(p.Payload))
		next.SetContext(context.WithValue(f.handling, deliveryKey{}, d))
		select {
		case f.out <- next:
		case <-f.stopped.Done(): // there is no Router, or too little time
			f.dead(d, 0, errEnded)
			f.leave(d)
		}
	}
}

// ticket puts the event behind the last one with its key.
func (f *feed) ticket(p agent.Publication) *delivery {
	d := &delivery{p: p}
	if p.Key != "" {
		f.mu.Lock()
		defer f.mu.Unlock()
		d.before, d.done = f.tails[p.Key], make(chan struct{})
		f.tails[p.Key] = d.done
	}
	return d
}

// leave lets the next event of the key begin, and another one in.
func (f *feed) leave(d *delivery) {
	if d.done != nil {
		f.mu.Lock()
		if f.tails[d.p.Key] == d.done {
			delete(f.tails, d.p.Key)
		}
		f.mu.Unlock()
		close(d.done)
	}
	<-f.slots
	f.gate.Leave()
}

// handle is the Router's handler. It settles failures itself: the Router would only nack.
func (f *feed) handle(m *message.Message) error {
	ctx := m.Context()
	d := ctx.Value(deliveryKey{}).(*delivery)
	defer f.leave(d)
	if d.before != nil {
		<-d.before // whoever is before stops when ctx ends, at the latest
	}
	backoff := f.e.o.Backoff
	for attempt := 1; ; attempt++ {
		err := ctx.Err()
		if err == nil {
			err = f.try(ctx, d.p, attempt)
		}
		if err == nil {
			return nil
		}
		if attempt == f.e.o.Attempts || final(err) || ctx.Err() != nil {
			f.dead(d, attempt, err)
			return nil
		}
		f.e.o.Logger.Warn("an event handler failed", "agent", f.group, "topic", f.topic, "event", d.p.ID, "attempt",
			attempt, "again in", backoff, "error", err)
		select {
		case <-time.After(backoff):
			backoff = min(2*backoff, maxEventBackoff)
		case <-ctx.Done():
		}
	}
}

func (f *feed) try(ctx context.Context, p agent.Publication, attempt int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			f.e.o.Logger.Error("panic in an event handler", "agent", f.group, "topic", f.topic, "panic", fmt.Sprint(v),
				"stack", string(debug.Stack()))
			err = agent.Errorf(agent.CodeInternal, "the handler of %s panicked: %v", f.topic, v)
		}
	}()
	return f.fn(ctx, p, attempt)
}

func (f *feed) dead(d *delivery, attempts int, err error) {
	f.e.o.OnDead(DeadEvent{Group: f.group, Publication: d.p, Attempts: attempts, Err: err})
}

// final errors come again with each attempt.
func final(err error) bool {
	switch agent.CodeOf(err) {
	case agent.CodeInvalidArgument, agent.CodeNotFound, agent.CodeUnimplemented:
		return true
	}
	return false
}
