package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/delivery"
)

// An eventSubscription stands between a driver's subscription and the Router, which runs a
// goroutine per message, in no order and without a bound. It passes on no more events than its
// dispatcher has slots for.
type eventSubscription struct {
	group, topic string
	dispatcher   *delivery.Dispatcher
	deadLetter   func(p agent.Event, attempts int, err error)
	routing      *atomic.Bool // there is a Router that takes the events
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

func newEventSubscription(d Driver, subject string, o delivery.Options, fn delivery.Handler,
	routing *atomic.Bool) (*eventSubscription, error) {
	sub, err := d.Subscriber(o.Agent)
	if err != nil {
		return nil, err
	}
	s := &eventSubscription{group: o.Agent, topic: o.Topic, dispatcher: delivery.New(o, fn),
		deadLetter: o.OnDeadLetter, routing: routing, sub: sub, out: make(chan *message.Message),
		done: make(chan struct{})}
	s.handling, s.cancel = context.WithCancel(context.Background())
	s.stopped, s.stop = context.WithCancel(context.Background())
	if s.in, err = sub.Subscribe(s.stopped, subject); err != nil {
		s.cancel()
		s.stop()
		return nil, errors.Join(err, sub.Close())
	}
	go s.run()
	return s, nil
}

// Subscribe implements watermill's Subscriber, for the Router.
func (s *eventSubscription) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return s.out, nil
}

// Close implements watermill's Subscriber. The Router calls it when it is closed, after end.
func (s *eventSubscription) Close() error {
	s.stop()
	return nil
}

// end takes the events that the driver still delivers on closing and no others, and waits for the
// handlers, at most until ctx ends.
func (s *eventSubscription) end(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.stop)()
	s.once.Do(func() { s.closeErr = s.sub.Close() })
	if !s.routing.Load() {
		s.stop()
	}
	<-s.done
	err := s.dispatcher.Wait(ctx)
	s.cancel()
	if err := errors.Join(err, s.closeErr); err != nil {
		return fmt.Errorf("end the subscription of %s to %s: %w", s.group, s.topic, err)
	}
	return nil
}

// run passes the events on in their order, each when there is a slot for it.
func (s *eventSubscription) run() {
	defer close(s.done)
	defer close(s.out)
	for m := range s.in {
		p, err := bus.DecodeEvent(m)
		if err != nil {
			m.Ack()
			s.deadLetter(p, 0, err)
			continue
		}
		if !s.dispatcher.Reserve(s.stopped.Done(), m.Context().Done()) {
			if s.stopped.Err() != nil {
				m.Nack()
			} // else the driver was closed, and dead-letters the message itself
			continue
		}
		m.Ack()
		event := s.dispatcher.Accept(p)
		next := message.NewMessage(m.UUID, message.Payload(p.Payload))
		next.SetContext(context.WithValue(s.handling, eventKey{}, event))
		select {
		case s.out <- next:
		case <-s.stopped.Done(): // there is no Router, or no time left for it
			s.dispatcher.Drop(event, bus.ErrEnded)
		}
	}
}

// handle is the Router's handler. The dispatcher settles failures: the Router would only nack.
func (s *eventSubscription) handle(m *message.Message) error {
	ctx := m.Context()
	s.dispatcher.Handle(ctx, ctx.Value(eventKey{}).(*delivery.Accepted))
	return nil
}
