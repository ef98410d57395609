// Package presence is how the processes of a project find each other.
package presence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/bus"
)

const (
	// describeEvery is how many words of a process go by until it describes itself again though
	// nothing of note has changed.
	describeEvery = 5
	// maxMembers bounds what a broker can make this process remember.
	maxMembers = 10_000
)

// A Member is another process of the project, as it described itself last.
type Member struct {
	// Process is its name, unique in the project.
	Process string
	// Body is what it says of itself.
	Body []byte
	// Since is when it was first heard of, Heard when last.
	Since, Heard time.Time
}

// Options configures a [Registry].
type Options struct {
	Project string
	// Process names this process: letters, digits, - and _.
	Process string
	// Every is how often a process says that it is here. Default 2 s.
	Every time.Duration
	// Lease is after how long without a word a process is gone. Default 3.5 times Every.
	Lease time.Duration
	// Describe gives the body of what this process says, never empty.
	Describe func() []byte
	// OnChange is told of a member that came, said something new, or went. It is not called
	// concurrently, and must neither wait nor call the Registry.
	OnChange func(m Member, gone bool)
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

// A Registry is how the processes of a project find each other: each says what it hosts, when it
// comes and when that changes, and every few seconds that it is still there; one that says nothing
// any more is gone when its lease has run out. While this process is cut off from the broker, or
// stood still, nobody's lease runs out: the silence is its own.
type Registry struct {
	d       pubsub.Driver
	o       Options
	subject string
	stop    func() error
	poke    chan struct{} // there is a next word

	mu      sync.Mutex
	next    string // to be said soon, before the next tick; empty: nothing
	members map[string]*Member
}

// New begins to listen. Run says that this process is here.
func New(d pubsub.Driver, o Options) (*Registry, error) {
	s, err := bus.NewSubjects(o.Project)
	if err != nil {
		return nil, err
	}
	o.Every = cmp.Or(o.Every, 2*time.Second)
	o.Lease = cmp.Or(o.Lease, o.Every*7/2)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Registry{d: d, o: o, subject: s.Presence(), poke: make(chan struct{}, 1), members: map[string]*Member{}}
	if p.stop, err = bus.Receive(d, "", p.subject, p.hear); err != nil {
		return nil, fmt.Errorf("listen to the other processes of the project: %w", err)
	}
	return p, nil
}

// Run says that this process is here until ctx ends, and then that it leaves. It may be called
// once.
func (p *Registry) Run(ctx context.Context) {
	defer p.leave(ctx)
	t := time.NewTicker(p.o.Every)
	defer t.Stop()
	heard := p.say(ctx, bus.PresenceHello, true) // by the broker
	poke, rest := p.poke, (<-chan time.Time)(nil)
	last := time.Now()
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-poke:
			began := time.Now()
			heard = p.say(ctx, p.takeNext(), true) && heard
			// Many who come at once are answered together, and who has much to say says it less
			// often.
			poke, rest = nil, time.After(min(max(p.o.Every/20, 5*time.Since(began)), p.o.Every))
		case <-rest:
			poke, rest = p.poke, nil
		case <-t.C:
			word, now := bus.PresenceHere, time.Now()
			if !heard {
				word = bus.PresenceHello
			}
			was := heard
			heard = p.say(ctx, word, word == bus.PresenceHello || n%describeEvery == 0)
			if n++; was && heard && now.Sub(last) < 2*p.o.Every {
				p.expire(now)
			} else {
				p.renew(now)
			}
			last = now
		}
	}
}

func (p *Registry) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	p.say(ctx, bus.PresenceGone, false)
	if err := p.stop(); err != nil {
		p.o.Logger.Debug("presence: stop listening", "error", err)
	}
}

// Changed has this process describe itself anew, soon.
func (p *Registry) Changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want(bus.PresenceHere)
}

// want has a word said soon. p.mu is held.
func (p *Registry) want(word string) {
	if p.next != bus.PresenceHello {
		p.next = word
	}
	select {
	case p.poke <- struct{}{}:
	default: // it is about to
	}
}

func (p *Registry) takeNext() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	word := p.next
	p.next = ""
	return cmp.Or(word, bus.PresenceHere)
}

// Members lists the other processes, by name.
func (p *Registry) Members() []Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Member, 0, len(p.members))
	for _, m := range p.members {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Process, b.Process) })
	return out
}

// say reports whether the broker took it.
func (p *Registry) say(ctx context.Context, word string, describe bool) bool {
	f := bus.Frame{Kind: bus.KindPresence, Name: word, Source: p.o.Process}
	if describe {
		f.Payload = p.o.Describe()
	}
	m, refused := f.Encode(p.d.MaxPayload())
	if refused != nil {
		p.o.Logger.Error("this process cannot describe itself to the others", "error", refused)
		return true
	}
	m.SetContext(ctx)
	err := p.d.Publish(p.subject, m)
	if err == nil || errors.Is(err, pubsub.ErrNoSubscribers) {
		return true
	}
	p.o.Logger.Debug("presence was not said", "error", err)
	return false
}

func (p *Registry) hear(m *message.Message) {
	f, err := bus.Decode(m)
	if err != nil || f.Kind != bus.KindPresence || f.Source == "" || f.Source == p.o.Process {
		return // of a later version, or an echo
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.Name == bus.PresenceHello {
		p.want(bus.PresenceHere)
	}
	known := p.members[f.Source]
	switch {
	case f.Name == bus.PresenceGone:
		if known != nil {
			delete(p.members, f.Source)
			p.o.OnChange(*known, true)
		}
	case known == nil && len(f.Payload) == 0:
		p.want(bus.PresenceHello) // who is that?
	case known == nil && len(p.members) == maxMembers:
		p.o.Logger.Warn("too many processes in the project: one is not seen", "process", f.Source, "limit", maxMembers)
	case known == nil:
		known = &Member{Process: f.Source, Body: slices.Clone(f.Payload), Since: now, Heard: now}
		p.members[f.Source] = known
		p.o.OnChange(*known, false)
	default:
		known.Heard = now
		if len(f.Payload) > 0 && string(known.Body) != string(f.Payload) {
			known.Body = slices.Clone(f.Payload)
			p.o.OnChange(*known, false)
		}
	}
}

// expire ends the leases of those who were not heard of in time.
func (p *Registry) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, m := range p.members {
		if now.Sub(m.Heard) > p.o.Lease {
			delete(p.members, name)
			p.o.Logger.Warn("a process of the project is gone without a word", "process", name)
			p.o.OnChange(*m, true)
		}
	}
}

// renew begins all leases anew.
func (p *Registry) renew(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		m.Heard = now
	}
}
