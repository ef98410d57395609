package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/delivery"
)

// A feed stands between a driver's subscription and the Router, which runs a goroutine per message,
// in no order and without a bound: it lets no more through than its dispatcher has slots for.
type feed struct {
	e            *Events
	group, topic string
	dispatcher   *delivery.Dispatcher
	sub          message.Subscriber
	in           <-chan *message.Message
	out          chan *message.Message
	handling     context.Context // of the handlers
	cancel       context.CancelFunc
	stopped      context.Context // done: take no more events
	stop         context.CancelFunc
	once         sync.Once
	closeErr     error
	done         chan struct{} // closed when run has ended
}

type eventKey struct{}

func newFeed(e *Events, group, topic string, fn EventHandler) (*feed, error) {
	sub, err := e.driver.Subscriber(group)
	if err != nil {
		return nil, err
	}
	f := &feed{e: e, group: group, topic: topic, sub: sub, out: make(chan *message.Message), done: make(chan struct{})}
	f.dispatcher = delivery.New(delivery.Options{Agent: group, Topic: topic, Concurrency: e.o.Concurrency,
		Attempts: e.o.Attempts, Backoff: e.o.Backoff, Logger: e.o.Logger, OnDead: f.dead}, delivery.Handler(fn))
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
	err := f.dispatcher.Wait(ctx)
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
			f.dead(p, 0, err)
			continue
		}
		if !f.dispatcher.Reserve(f.stopped.Done(), m.Context().Done()) {
			if f.stopped.Err() != nil {
				m.Nack()
			} // else the driver was closed, and counts it among the dead
			continue
		}
		m.Ack()
		event := f.dispatcher.Accept(p)
		next := message.NewMessage(m.UUID, message.Payload(p.Payload))
		next.SetContext(context.WithValue(f.handling, eventKey{}, event))
		select {
		case f.out <- next:
		case <-f.stopped.Done(): // there is no Router, or too little time
			f.dispatcher.Drop(event, errEnded)
		}
	}
}

// handle is the Router's handler. The dispatcher settles failures: the Router would only nack.
func (f *feed) handle(m *message.Message) error {
	ctx := m.Context()
	f.dispatcher.Handle(ctx, ctx.Value(eventKey{}).(*delivery.Accepted))
	return nil
}

func (f *feed) dead(p agent.Event, attempts int, err error) {
	f.e.o.OnDead(DeadEvent{Group: f.group, Event: p, Attempts: attempts, Err: err})
}
