package pubsub

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
)

// topics holds the groups of each topic.
type topics struct {
	// all has a []group for each topic, which is replaced under mu and never changed, so that
	// Publish takes no lock.
	all  sync.Map
	mu   sync.Mutex
	done chan struct{} // closed by close, under mu
}

// close has nobody join any more. Those that are there leave as before.
func (t *topics) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed() {
		close(t.done)
	}
}

func (t *topics) closed() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
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

// join adds a member to the topic.
func (t *topics) join(topic, name string, m member) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed() {
		return ErrClosed
	}
	groups := t.groups(topic)
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
	t.all.Store(topic, groups)
	return nil
}

// leave removes a member. A Publish that began before may still offer to it.
func (t *topics) leave(topic string, m member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	groups := t.groups(topic)
	i := slices.IndexFunc(groups, func(g group) bool { return slices.Contains(g.members, m) })
	switch {
	case i < 0:
		return
	case len(groups) == 1 && len(groups[0].members) == 1:
		t.all.Delete(topic)
		return
	case len(groups[i].members) > 1:
		groups = slices.Clone(groups)
		groups[i].members = slices.DeleteFunc(slices.Clone(groups[i].members), func(x member) bool { return x == m })
	case i == len(groups)-1: // agents leave in the reverse order of their coming
		groups = groups[:i:i]
	default:
		groups = slices.Concat(groups[:i], groups[i+1:])
	}
	t.all.Store(topic, groups)
}

func (t *topics) groups(topic string) []group {
	v, _ := t.all.Load(topic)
	g, _ := v.([]group)
	return g
}

// members are those of a group. Subscribers of no group have nobody beside them.
func (t *topics) members(topic, name string) []member {
	if name != "" {
		for _, g := range t.groups(topic) {
			if g.name == name {
				return g.members
			}
		}
	}
	return nil
}
