package pubsub

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// MemoryOptions configures a [Memory]. The zero value is all defaults.
type MemoryOptions struct {
	// Queue is how many messages wait for one subscription. Default 1024.
	Queue int
	// Redeliver is how often a message that was nacked is delivered again before it is
	// dead-lettered. Default 3; negative: never.
	Redeliver int
	// Backoff is the time before the first redelivery, doubled with each, at most 10 s. Default 10
	// ms.
	Backoff time.Duration
	// MaxPayload in bytes. Default 4 MiB; negative: no limit.
	MaxPayload int
	// OnDeadLetter gets the messages that were accepted and will not be delivered any more: nacked
	// too often, or queued at a subscription that was closed. It must be quick and may be called
	// concurrently. Default: a line in the log.
	OnDeadLetter func(topic string, m *message.Message, reason error)
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

// Memory is the driver inside one process. It stores nothing: a message goes to the subscriptions
// that there are when it is published, and without any, Publish returns [ErrNoSubscribers]. When a
// subscription's queue is full, Publish waits until there is room, the message's context ends or
// the driver is closed.
//
// Subscribers get a copy, payload included. A subscription gets its messages in the order of their
// publication, the next one when the one before was acknowledged or dead-lettered. The members of a
// group take turns; one whose queue is full is skipped.
type Memory struct {
	o MemoryOptions
	// topics holds the groups of each topic, a []group that is replaced under mu and never changed,
	// so that Publish takes no lock.
	topics sync.Map
	mu     sync.Mutex
	subs   map[*memorySubscriber]struct{}
	closed bool
	done   chan struct{}
}

// A group of subscribers of a topic: one of its members gets a message.
type group struct {
	name    string // empty: a single subscriber of no group
	members []member
	next    *atomic.Uint32
}

// A member of a group takes messages: a subscription or a receiver.
type member interface {
	// offer delivers a copy of m or queues it; false when it has no room or is closed.
	offer(m *message.Message) bool
	// wait is offer that waits for room.
	wait(m *message.Message) error
	// end takes it out of its group and waits until it is.
	end()
}

// NewMemory returns a Memory. It starts nothing.
func NewMemory(o MemoryOptions) *Memory {
	if o.Queue <= 0 {
		o.Queue = defaultMemoryQueue
	}
	if o.Redeliver == 0 {
		o.Redeliver = defaultRedeliver
	}
	if o.Backoff <= 0 {
		o.Backoff = defaultMemoryBackoff
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = defaultMaxPayload
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnDeadLetter == nil {
		o.OnDeadLetter = func(topic string, m *message.Message, reason error) {
			o.Logger.Warn("a message was dead-lettered", "topic", topic, "message", m.UUID, "reason", reason)
		}
	}
	return &Memory{o: o, subs: map[*memorySubscriber]struct{}{}, done: make(chan struct{})}
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
	groups, _ := d.topics.Load(topic)
	reached := 0
	var errs []error
	if groups != nil {
		for _, g := range groups.([]group) {
			if err := g.put(m); err == nil {
				reached++
			} else if !errors.Is(err, ErrNoSubscribers) {
				errs = append(errs, err)
			}
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
	select {
	case <-d.done:
		return ErrClosed
	default:
		return ErrNoSubscribers
	}
}

// put delivers m to one member: to the next one that has room, or else to the next one when it has.
func (g *group) put(m *message.Message) error {
	first := 0
	if len(g.members) > 1 {
		first = int(g.next.Add(1) % uint32(len(g.members)))
	}
	for i := range g.members {
		if g.members[(first+i)%len(g.members)].offer(m) {
			return nil
		}
	}
	err := ErrNoSubscribers
	for i := range g.members {
		if err = g.members[(first+i)%len(g.members)].wait(m); !errors.Is(err, ErrNoSubscribers) {
			return err
		}
	}
	return err
}

// Subscriber implements [Driver]. What it returns is a [Receiver].
func (d *Memory) Subscriber(group string) (message.Subscriber, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	s := &memorySubscriber{d: d, group: group, members: map[member]struct{}{}}
	d.subs[s] = struct{}{}
	return s, nil
}

// Close ends every subscription at once. Messages that are not acknowledged by then are
// dead-lettered.
func (d *Memory) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.done)
	}
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

// join adds a member to the topic.
func (d *Memory) join(topic, name string, m member) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	groups := d.groups(topic)
	i := -1
	if name != "" {
		i = slices.IndexFunc(groups, func(g group) bool { return g.name == name })
	}
	if i < 0 {
		// Publishers look at no more groups than there were: a new one may follow in the same
		// array.
		groups = append(groups, group{name: name, members: []member{m}, next: new(atomic.Uint32)})
	} else {
		groups = slices.Clone(groups)
		groups[i].members = append(slices.Clone(groups[i].members), m)
	}
	d.topics.Store(topic, groups)
	return nil
}

// leave removes a member. A Publish that began before may still offer to it.
func (d *Memory) leave(topic string, m member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	groups := d.groups(topic)
	i := slices.IndexFunc(groups, func(g group) bool { return slices.Contains(g.members, m) })
	switch {
	case i < 0:
		return
	case len(groups) == 1 && len(groups[0].members) == 1:
		d.topics.Delete(topic)
		return
	case len(groups[i].members) > 1:
		groups = slices.Clone(groups)
		groups[i].members = slices.DeleteFunc(slices.Clone(groups[i].members), func(x member) bool { return x == m })
	case i == len(groups)-1: // agents leave in the reverse order of their coming
		groups = groups[:i:i]
	default:
		groups = slices.Concat(groups[:i], groups[i+1:])
	}
	d.topics.Store(topic, groups)
}

func (d *Memory) groups(topic string) []group {
	v, _ := d.topics.Load(topic)
	g, _ := v.([]group)
	return g
}

// others returns the group that a member has left, if it still has members.
func (d *Memory) others(topic, name string) (group, bool) {
	if name != "" {
		for _, g := range d.groups(topic) {
			if g.name == name {
				return g, true
			}
		}
	}
	return group{}, false
}
