package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

var (
	errNacked = errors.New("nacked too often")
	errEnded  = errors.New("the subscription was closed before it was acknowledged")
)

// A subscription is a member with a queue. Its run goroutine hands one message after the other to the subscriber's channel.
type subscription struct {
	s      *memorySubscriber
	topic  string
	ctx    context.Context
	cancel context.CancelFunc
	queue  chan *message.Message
	out    chan *message.Message
	done   chan struct{} // closed when run has ended
	// closed is set when nobody reads the queue any more. Whoever puts a message there and then sees it set takes the queue down, so that none is forgotten.
	closed atomic.Bool
}

func newSubscription(ctx context.Context, s *memorySubscriber, topic string) *subscription {
	ctx, cancel := context.WithCancel(ctx)
	return &subscription{s: s, topic: topic, ctx: ctx, cancel: cancel, queue: make(chan *message.Message, s.d.o.Queue),
		out: make(chan *message.Message), done: make(chan struct{})}
}

func (s *subscription) offer(m *message.Message) bool {
	if s.ctx.Err() != nil || len(s.queue) == cap(s.queue) {
		return false
	}
	select {
	case s.queue <- copyOf(m):
		s.queued()
		return true
	default:
		return false
	}
}

func (s *subscription) wait(m *message.Message) error {
	if s.ctx.Err() != nil {
		return ErrNoSubscribers
	}
	select {
	case s.queue <- copyOf(m):
		s.queued()
		return nil
	case <-s.ctx.Done():
		return ErrNoSubscribers
	case <-m.Context().Done():
		return fmt.Errorf("the queue of %d messages is full: %w: %w", cap(s.queue), ErrNotSent, m.Context().Err())
	}
}

func (s *subscription) queued() {
	if s.closed.Load() {
		s.takeDown()
	}
}

// copyOf shares nothing with m that can be changed.
func copyOf(m *message.Message) *message.Message {
	c := m.Copy()
	c.Payload = slices.Clone(m.Payload)
	return c
}

func (s *subscription) end() {
	s.cancel()
	<-s.done
}

func (s *subscription) run() {
	defer close(s.done)
	defer close(s.out)
	for s.ctx.Err() == nil {
		select {
		case m := <-s.queue:
			s.deliver(m)
		case <-s.ctx.Done():
		}
	}
	s.s.d.leave(s.topic, s)
	s.s.forget(s)
	s.closed.Store(true)
	s.takeDown()
}

// deliver hands m over until it is acknowledged, or dead.
func (s *subscription) deliver(m *message.Message) {
	backoff := s.s.d.o.Backoff
	for try := 0; ; try++ {
		ctx, cancel := context.WithCancel(s.ctx)
		m.SetContext(ctx)
		acked := s.hand(m)
		cancel()
		switch {
		case acked == nil:
			return
		case errors.Is(acked, errNacked) && try < s.s.d.o.Redeliver:
			m = copyOf(m)
		case errors.Is(acked, errNotHanded):
			s.passOn(m)
			return
		default:
			s.s.d.o.OnDead(s.topic, m, acked)
			return
		}
		select {
		case <-time.After(backoff):
			backoff *= 2
		case <-s.ctx.Done():
			s.passOn(m)
			return
		}
	}
}

var errNotHanded = errors.New("nobody took it")

// hand passes m to the subscriber and waits for what it says.
func (s *subscription) hand(m *message.Message) error {
	select {
	case s.out <- m:
	case <-s.ctx.Done():
		return errNotHanded
	}
	select {
	case <-m.Acked():
		return nil
	case <-m.Nacked():
		return errNacked
	case <-s.ctx.Done():
	}
	select { // acknowledged and closed at once: it was handled
	case <-m.Acked():
		return nil
	default:
		return errEnded
	}
}

// takeDown empties the queue of a closed subscription.
func (s *subscription) takeDown() {
	for {
		select {
		case m := <-s.queue:
			s.passOn(m)
		default:
			return
		}
	}
}

// passOn gives a message that the subscriber never saw to another member of the group that has room.
func (s *subscription) passOn(m *message.Message) {
	if g, ok := s.s.d.others(s.topic, s.s.group); ok {
		for _, other := range g.members {
			if other != member(s) && other.offer(m) {
				return
			}
		}
	}
	s.s.d.o.OnDead(s.topic, m, errEnded)
}
