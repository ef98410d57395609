package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/bus"
)

// A subscription is a member with a queue. Its goroutine sends one message after the other to the
// subscriber's channel:
//
//	queued -> sent -> acknowledged: the next one
//	               -> nacked: sent again after a wait, or dead-lettered after the last redelivery
//	the subscriber is closed -> what is queued is still sent, for closeGrace
//	the context ends         -> what is queued goes to another member of the group that has room,
//	                            or is dead-lettered
type subscription struct {
	o      *MemoryOptions
	topics *topics
	group  string
	topic  string
	ended  func(member) // called when it has left
	ctx    context.Context
	cancel context.CancelFunc
	room   chan struct{} // a slot for each message in the queue, taken before the message is copied
	queue  chan *message.Message
	out    chan *message.Message
	done   chan struct{} // closed when run has ended

	// A message is put in the queue under mu or by one of the waiters, and not after closing: then
	// no further message can come.
	mu      sync.RWMutex
	shut    bool
	waiters sync.WaitGroup
	closing chan struct{} // closed with shut
}

func newSubscription(ctx context.Context, o *MemoryOptions, t *topics, group, topic string,
	ended func(member)) *subscription {
	ctx, cancel := context.WithCancel(ctx)
	return &subscription{o: o, topics: t, group: group, topic: topic, ended: ended, ctx: ctx, cancel: cancel,
		room: make(chan struct{}, o.Queue), queue: make(chan *message.Message, o.Queue),
		out: make(chan *message.Message), done: make(chan struct{}), closing: make(chan struct{})}
}

func (s *subscription) offer(m *message.Message) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shut {
		return false
	}
	select {
	case s.room <- struct{}{}:
		s.queue <- copyOf(m)
		return true
	default:
		return false
	}
}

func (s *subscription) wait(m *message.Message) error {
	s.mu.RLock()
	if s.shut {
		s.mu.RUnlock()
		return ErrNoSubscribers
	}
	s.waiters.Add(1)
	s.mu.RUnlock()
	defer s.waiters.Done()
	select {
	case s.room <- struct{}{}:
		s.queue <- copyOf(m)
		return nil
	case <-s.closing:
		return ErrNoSubscribers
	case <-m.Context().Done():
		return fmt.Errorf("the queue of %d messages is full: %w: %w", cap(s.queue), ErrNotSent, m.Context().Err())
	}
}

// copyOf returns a message that shares nothing with m that can be changed.
func copyOf(m *message.Message) *message.Message {
	c := m.Copy()
	c.Payload = slices.Clone(m.Payload)
	return c
}

// leave takes no more messages.
func (s *subscription) leave() {
	s.topics.leave(s.topic, s)
	s.mu.Lock()
	if !s.shut {
		s.shut = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.waiters.Wait()
}

// end closes the subscription, after delivering what it had queued if that takes no longer than
// closeGrace.
func (s *subscription) end() {
	s.leave()
	timer := time.AfterFunc(closeGrace, s.cancel)
	<-s.done
	timer.Stop()
	s.cancel()
}

func (s *subscription) run() {
	defer close(s.done)
	defer close(s.out)
	for s.next() {
	}
	s.leave()
	s.ended(s)
	for len(s.queue) > 0 {
		s.passOn(s.taken(<-s.queue))
	}
}

// taken makes room for another message.
func (s *subscription) taken(m *message.Message) *message.Message {
	<-s.room
	return m
}

// next delivers a message; false when there is none to come.
func (s *subscription) next() bool {
	if s.ctx.Err() != nil {
		return false
	}
	select {
	case m := <-s.queue:
		s.deliver(s.taken(m))
		return true
	case <-s.ctx.Done():
		return false
	case <-s.closing:
	}
	s.waiters.Wait()
	if len(s.queue) == 0 {
		return false
	}
	s.deliver(s.taken(<-s.queue))
	return true
}

// deliver sends m until it is acknowledged or dead-lettered.
func (s *subscription) deliver(m *message.Message) {
	waits := backoff.Policy{Initial: s.o.Backoff, Multiplier: 2, Max: maxBackoff}
	for try := 1; ; try++ {
		err := bus.Deliver(s.ctx, m, s.out)
		switch {
		case err == nil:
			return
		case errors.Is(err, bus.ErrNacked) && try <= s.o.Redeliver:
			m = copyOf(m)
		case errors.Is(err, bus.ErrNotTaken):
			s.passOn(m)
			return
		default:
			s.o.OnDeadLetter(s.topic, m, err)
			return
		}
		if backoff.Sleep(s.ctx, waits.Wait(try)) != nil {
			s.passOn(m)
			return
		}
	}
}

// passOn queues a message that the subscriber has not received at another member of the group that
// has room.
func (s *subscription) passOn(m *message.Message) {
	for _, other := range s.topics.members(s.topic, s.group) {
		if other != member(s) && other.offer(m) {
			return
		}
	}
	s.o.OnDeadLetter(s.topic, m, bus.ErrEnded)
}
