package pubsub

import (
	"errors"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Memory is the driver inside one process. It stores nothing: a message goes to the subscriptions
// that there are when it is published, and without any, Publish returns [ErrNoSubscribers]. When a
// subscription's queue is full, Publish waits until there is room, the message's context ends or
// the driver is closed.
//
// Subscribers get a copy, payload included. A subscription gets its messages in the order of their
// publication, the next one when the one before was acknowledged or dead-lettered. The members of a
// group take turns; one whose queue is full is skipped.
type Memory struct {
	o      MemoryOptions
	topics topics
	mu     sync.Mutex
	subs   map[*memorySubscriber]struct{}
}

// NewMemory returns a Memory. It starts nothing.
func NewMemory(o MemoryOptions) *Memory {
	o = o.withDefaults()
	return &Memory{o: o, topics: topics{done: make(chan struct{})}, subs: map[*memorySubscriber]struct{}{}}
}

// MaxPayload implements [Driver].
func (d *Memory) MaxPayload() int { return max(d.o.MaxPayload, 0) }

// Publish implements [Driver].
func (d *Memory) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		if err := d.publish(topic, m); err != nil {
			return fmt.Errorf("publish to %s: %w", topic, err)
		}
	}
	return nil
}

func (d *Memory) publish(topic string, m *message.Message) error {
	if n := d.MaxPayload(); n > 0 && len(m.Payload) > n {
		return fmt.Errorf("a payload of %d bytes, at most %d are allowed: %w", len(m.Payload), n, ErrNotSent)
	}
	reached := 0
	var errs []error
	for _, g := range d.topics.groups(topic) {
		if err := g.put(m); err == nil {
			reached++
		} else if !errors.Is(err, ErrNoSubscribers) {
			errs = append(errs, err)
		}
	}
	switch {
	case len(errs) > 0 && reached > 0: // no evidence that nobody got it
		//nolint:errorlint // the causes claim that nobody got it
		return fmt.Errorf("not every group got it: %s", errors.Join(errs...))
	case len(errs) > 0:
		return errors.Join(errs...)
	case reached > 0:
		return nil
	}
	if d.topics.closed() {
		return ErrClosed
	}
	return ErrNoSubscribers
}

// Subscriber implements [Driver]. What it returns is a [Receiver].
func (d *Memory) Subscriber(group string) (message.Subscriber, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.topics.closed() {
		return nil, ErrClosed
	}
	s := &memorySubscriber{o: &d.o, topics: &d.topics, group: group, members: map[member]struct{}{}}
	s.closing = func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.subs, s)
	}
	d.subs[s] = struct{}{}
	return s, nil
}

// Close ends every subscription at once. Messages that are not acknowledged by then are
// dead-lettered.
func (d *Memory) Close() error {
	d.mu.Lock()
	d.topics.close()
	subs := d.subs
	d.subs = map[*memorySubscriber]struct{}{}
	d.mu.Unlock()
	for s := range subs {
		s.cut()
	}
	for s := range subs {
		_ = s.Close() // never an error
	}
	return nil
}
