package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
)

// memorySubscriber is one Subscriber of a group, with any number of subscriptions.
type memorySubscriber struct {
	o       *MemoryOptions
	topics  *topics
	group   string
	closing func() // called at the end of Close
	mu      sync.Mutex
	closed  bool
	members map[member]struct{}
}

// Subscribe implements watermill's Subscriber.
func (s *memorySubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	sub := newSubscription(ctx, s.o, s.topics, s.group, topic, s.forget)
	if err := s.add(topic, sub); err != nil {
		sub.cancel()
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	go sub.run()
	return sub.out, nil
}

// Receive implements [Receiver]: fn runs in the publisher's goroutine.
func (s *memorySubscriber) Receive(topic string, fn func(*message.Message)) (func() error, error) {
	r := &receiver{topics: s.topics, topic: topic, fn: fn}
	if err := s.add(topic, r); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	return func() error {
		r.end()
		s.forget(r)
		return nil
	}, nil
}

func (s *memorySubscriber) add(topic string, m member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the subscriber is closed")
	}
	if err := s.topics.join(topic, s.group, m); err != nil {
		return err
	}
	s.members[m] = struct{}{}
	return nil
}

func (s *memorySubscriber) forget(m member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, m)
}

// Close implements watermill's Subscriber. Its subscriptions get no more messages; those that were
// queued are still delivered, if that takes no more than a second. It waits for them. A
// subscription whose own context ends is closed at once.
func (s *memorySubscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	members := s.members
	s.members = map[member]struct{}{}
	s.mu.Unlock()
	var all sync.WaitGroup
	for m := range members {
		all.Go(m.end)
	}
	all.Wait()
	s.closing()
	return nil
}

// cut ends the contexts of its subscriptions.
func (s *memorySubscriber) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range s.members {
		if sub, ok := m.(*subscription); ok {
			sub.cancel()
		}
	}
}

// A receiver is a member that is called.
type receiver struct {
	topics *topics
	topic  string
	fn     func(*message.Message)
	closed atomic.Bool
}

func (r *receiver) offer(m *message.Message) bool {
	if r.closed.Load() {
		return false
	}
	r.fn(&message.Message{UUID: m.UUID, Metadata: m.Metadata, Payload: slices.Clone(m.Payload)})
	return true
}

func (r *receiver) wait(*message.Message) error { return ErrNoSubscribers }

func (r *receiver) end() {
	r.closed.Store(true)
	r.topics.leave(r.topic, r)
}
