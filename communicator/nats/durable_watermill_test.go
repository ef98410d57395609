package nats

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/internal/bus"
)

// Publisher is watermill's view of durable events, for its suite: topics are those of events,
// messages need not be. Closing it does nothing.
func (v *Durable) Publisher() message.Publisher { return durablePublisher{v} }

type durablePublisher struct{ v *Durable }

func (p durablePublisher) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		if err := p.v.store(m.Context(), p.v.eventPrefix+topic, topic+"/"+m.UUID, m); err != nil {
			return fmt.Errorf("publish %s: %w", topic, err)
		}
	}
	return nil
}

func (p durablePublisher) Close() error { return nil }

// Subscriber is watermill's, of one group. The next message comes when the one before was
// acknowledged. One that was nacked comes again after a while, and is dead-lettered after the last
// attempt. Messages that are not acknowledged when the subscriber is closed are redelivered at
// once.
func (v *Durable) Subscriber(group string) (message.Subscriber, error) {
	return &durableSubscriber{v: v, group: group, subs: map[*durableSubscription]func(){}}, nil
}

type durableSubscriber struct {
	v      *Durable
	group  string
	mu     sync.Mutex
	closed bool
	subs   map[*durableSubscription]func()
}

// Subscribe implements watermill's Subscriber.
func (s *durableSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := checkSubject(topic); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("subscribe to %s: the subscriber is closed", topic)
	}
	out := make(chan *message.Message)
	one := make(chan struct{}, 1)
	sub, err := s.v.subscribe(s.group, topic, func(ctx context.Context, d *durableEvent) error {
		select {
		case one <- struct{}{}:
			defer func() { <-one }()
		case <-ctx.Done():
			return bus.ErrEnded
		}
		return bus.Deliver(ctx, received(d.raw.Headers(), d.raw.Data()), out)
	})
	if err != nil {
		return nil, err
	}
	closed := make(chan struct{})
	go func() { // until end, or the end of v
		defer close(closed)
		<-sub.done
		close(out)
	}()
	end := sync.OnceFunc(func() {
		sub.stop()
		sub.cancel() // whoever does not acknowledge now does not keep us
		<-closed
		_ = sub.end(context.Background()) // it has ended
	})
	s.subs[sub] = end
	context.AfterFunc(ctx, func() {
		end()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, sub)
	})
	return out, nil
}

// Close implements watermill's Subscriber.
func (s *durableSubscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	ends := s.subs
	s.subs = map[*durableSubscription]func(){}
	s.mu.Unlock()
	for _, end := range ends {
		end()
	}
	return nil
}
