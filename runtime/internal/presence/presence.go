// Package presence is how the processes of a project find each other over their broker: each one
// announces what it hosts, and keeps a list of the others.
package presence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/bus"
)

const (
	defaultEvery = 2 * time.Second
	// describeEvery is how many announcements there are to one with a description, when nothing has
	// changed.
	describeEvery = 5
	// leaveTimeout bounds the last announcement.
	leaveTimeout = time.Second
)

// Options configures a [Registry].
type Options struct {
	Project string
	// Process names this process: letters, digits, - and _.
	Process string
	// Every is the time between two announcements. Default 2 s.
	Every time.Duration
	// Lease is how long a process counts as there after its last announcement. Default 3.5 times
	// Every.
	Lease time.Duration
	// Describe returns the description of this process, never empty.
	Describe func() []byte
	// OnChange is called when a member has come, has another description, or is gone. It is not
	// called concurrently, and must neither wait nor call the Registry.
	OnChange func(m Member, gone bool)
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

// A Registry announces this process and lists the others. An announcement is one of three:
//
//	hello  this process has just come, or was cut off from the broker: all others announce
//	       themselves soon
//	here   every [Options.Every], with the description when it has changed and every fifth time
//	gone   it leaves
//
// A process is a member from its first description on, until it says gone or its lease ends. While
// this process is cut off from the broker, or was stopped, no lease ends: it could not receive the
// announcements.
type Registry struct {
	d       pubsub.Driver
	o       Options
	subject string
	stop    func() error
	due     chan struct{} // an announcement is to be made soon

	mu      sync.Mutex
	next    string        // which one; empty: none
	changes uint64        // how often this process has changed
	told    uint64        // how many of these changes the others know
	telling chan struct{} // closed when they know more of them
	members members
}

// New subscribes to the announcements of other processes. Run announces this one.
func New(d pubsub.Driver, o Options) (*Registry, error) {
	s, err := bus.NewSubjects(o.Project)
	if err != nil {
		return nil, err
	}
	o.Every = cmp.Or(o.Every, defaultEvery)
	o.Lease = cmp.Or(o.Lease, o.Every*7/2)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Registry{d: d, o: o, subject: s.Presence(), due: make(chan struct{}, 1), telling: make(chan struct{}),
		members: members{byProcess: map[string]*Member{}, onChange: o.OnChange, log: o.Logger}}
	if r.stop, err = bus.Receive(d, "", r.subject, r.receive); err != nil {
		return nil, fmt.Errorf("subscribe to the other processes of the project: %w", err)
	}
	return r, nil
}

// Run announces this process until ctx ends, and then that it leaves. It may be called once.
func (r *Registry) Run(ctx context.Context) {
	defer r.leave(ctx)
	t := time.NewTicker(r.o.Every)
	defer t.Stop()
	sent := r.announce(ctx, bus.PresenceHello, true)
	due, pause := r.due, (<-chan time.Time)(nil)
	last := time.Now()
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-due:
			began := time.Now()
			sent = r.announce(ctx, r.takeNext(), true) && sent
			// Several that come at once are answered by one announcement, and a process whose
			// description takes long makes fewer.
			due, pause = nil, time.After(min(max(r.o.Every/20, 5*time.Since(began)), r.o.Every))
		case <-pause:
			due, pause = r.due, nil
		case <-t.C:
			kind, now := bus.PresenceHere, time.Now()
			if !sent { // it was cut off: whatever changed meanwhile, it does not know
				kind = bus.PresenceHello
			}
			before := sent
			sent = r.announce(ctx, kind, kind == bus.PresenceHello || n%describeEvery == 0)
			stopped := now.Sub(last) >= 2*r.o.Every // this process, and with it its clock
			n++
			r.leases(now, before && sent && !stopped)
			last = now
		}
	}
}

// leases ends those that are over, or begins all anew where this process could not hear of others.
func (r *Registry) leases(now time.Time, end bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end {
		r.members.endLeases(now, r.o.Lease)
	} else {
		r.members.renewLeases(now)
	}
}

// Silent returns how long members have not announced themselves, by process, of those that should
// have.
func (r *Registry) Silent() map[string]time.Duration {
	silent := map[string]time.Duration{}
	for _, m := range r.Members() {
		if quiet := time.Since(m.LastSeen); quiet >= 2*r.o.Every {
			silent[m.Process] = quiet
		}
	}
	return silent
}

// Members lists the other processes, by name.
func (r *Registry) Members() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members.list()
}

func (r *Registry) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	r.announce(ctx, bus.PresenceGone, false)
	if err := r.stop(); err != nil {
		r.o.Logger.Debug("end the subscription to the other processes", "error", err)
	}
}

// Changed announces soon that this process has another description.
func (r *Registry) Changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	r.announceSoon(bus.PresenceHere)
}

// AwaitTold waits until the changes so far were announced, or ctx ends.
func (r *Registry) AwaitTold(ctx context.Context) {
	r.mu.Lock()
	until := r.changes
	r.mu.Unlock()
	for {
		r.mu.Lock()
		told, telling := r.told, r.telling
		r.mu.Unlock()
		if told >= until {
			return
		}
		select {
		case <-telling:
		case <-ctx.Done():
			return
		}
	}
}

// tell notes that so many changes were announced.
func (r *Registry) tell(changes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if changes > r.told {
		r.told = changes
		close(r.telling)
		r.telling = make(chan struct{})
	}
}

// announceSoon has Run make an announcement before the next tick. r.mu is held.
func (r *Registry) announceSoon(kind string) {
	if r.next != bus.PresenceHello { // which asks for more than here does
		r.next = kind
	}
	select {
	case r.due <- struct{}{}:
	default:
	}
}

func (r *Registry) takeNext() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := r.next
	r.next = ""
	return cmp.Or(kind, bus.PresenceHere)
}

// announce reports whether the broker took the announcement.
func (r *Registry) announce(ctx context.Context, kind string, describe bool) bool {
	f := bus.Frame{Kind: bus.KindPresence, Name: kind, Source: r.o.Process}
	changes := uint64(0)
	if describe {
		r.mu.Lock()
		changes = r.changes
		r.mu.Unlock()
		f.Payload = r.o.Describe()
	}
	m, refused := f.Encode(r.d.MaxPayload())
	if refused != nil {
		r.o.Logger.Error("this process cannot describe itself to the others", "error", refused)
		return true
	}
	m.SetContext(ctx)
	err := r.d.Publish(r.subject, m)
	if err == nil || errors.Is(err, pubsub.ErrNoSubscribers) {
		r.tell(changes)
		return true
	}
	r.o.Logger.Debug("this process was not announced", "error", err)
	return false
}

// receive takes the announcement of another process.
func (r *Registry) receive(m *message.Message) {
	f, err := bus.Decode(m)
	if err != nil || f.Kind != bus.KindPresence || f.Source == "" || f.Source == r.o.Process {
		return // of a later version, or its own
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch f.Name {
	case bus.PresenceGone:
		r.members.remove(f.Source)
	case bus.PresenceHello:
		r.announceSoon(bus.PresenceHere)
		r.update(&f)
	default:
		r.update(&f)
	}
}

// update takes the announcement of a process that is there. r.mu is held.
func (r *Registry) update(f *bus.Frame) {
	if !r.members.update(f.Source, f.Payload) {
		r.announceSoon(bus.PresenceHello) // it describes itself then
	}
}
