package pubsub

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
)

// kindPresence is a process saying what it hosts; its name is one of the words below, its source the process.
const kindPresence = "presence"

const (
	presenceHello = "hello" // I am new: everybody, say that you are here
	presenceHere  = "here"
	presenceGone  = "gone" // I leave in order
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

// PresenceOptions configures [Presence].
type PresenceOptions struct {
	Project string
	// Process names this process: letters, digits, - and _.
	Process string
	// Every is how often a process says that it is here. Default 2 s.
	Every time.Duration
	// Lease is after how long without a word a process is gone. Default 3.5 times Every.
	Lease time.Duration
	// Describe gives the body of what this process says.
	Describe func() []byte
	// OnChange is told of a member that came, said something new, or went. It is called by one goroutine and must not wait for Presence.
	OnChange func(m Member, gone bool)
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

// Presence is how the processes of a project find each other: each says what it hosts, when it comes, when that changes, and every few seconds; one that says nothing
// any more is gone when its lease has run out.
type Presence struct {
	d       Driver
	o       PresenceOptions
	subject string
	poke    chan string // a word to say now

	mu      sync.Mutex
	members map[string]*Member
	stop    func() error
}

// NewPresence begins to listen. Run says that this process is here.
func NewPresence(d Driver, o PresenceOptions) (*Presence, error) {
	s, err := newSubjects(o.Project)
	if err != nil {
		return nil, err
	}
	o.Every = cmp.Or(o.Every, 2*time.Second)
	o.Lease = cmp.Or(o.Lease, o.Every*7/2)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Presence{d: d, o: o, subject: string(s) + "presence", poke: make(chan string, 1), members: map[string]*Member{}}
	if p.stop, err = receive(d, "", p.subject, p.hear); err != nil {
		return nil, fmt.Errorf("listen to the other processes of the project: %w", err)
	}
	return p, nil
}

// Run says that this process is here until ctx ends, and then that it leaves. It may be called once.
func (p *Presence) Run(ctx context.Context) {
	p.say(ctx, presenceHello)
	t := time.NewTicker(p.o.Every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			p.say(leave, presenceGone)
			if err := p.stop(); err != nil {
				p.o.Logger.Debug("presence: stop listening", "error", err)
			}
			return
		case word := <-p.poke:
			p.say(ctx, word)
		case <-t.C:
			p.say(ctx, presenceHere)
			p.expire(time.Now())
		}
	}
}

// Changed has this process describe itself anew, soon.
func (p *Presence) Changed() {
	select {
	case p.poke <- presenceHere:
	default: // it is about to
	}
}

// Members lists the other processes, by name.
func (p *Presence) Members() []Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Member, 0, len(p.members))
	for _, m := range p.members {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Process, b.Process) })
	return out
}

func (p *Presence) say(ctx context.Context, word string) {
	f := frame{kind: kindPresence, name: word, source: p.o.Process, payload: p.o.Describe()}
	m, refused := f.encode(p.d.MaxPayload())
	if refused != nil {
		p.o.Logger.Error("this process cannot describe itself to the others", "error", refused)
		return
	}
	m.SetContext(ctx)
	if err := p.d.Publish(p.subject, m); err != nil && !errors.Is(err, ErrNoSubscribers) {
		p.o.Logger.Debug("presence was not said", "error", err)
	}
}

func (p *Presence) hear(m *message.Message) {
	f, err := decode(m)
	if err != nil || f.kind != kindPresence || f.source == "" || f.source == p.o.Process {
		return // of a later version, or an echo
	}
	now := time.Now()
	p.mu.Lock()
	known := p.members[f.source]
	member := Member{Process: f.source, Body: slices.Clone(f.payload), Since: now, Heard: now}
	if known != nil {
		member.Since = known.Since
	}
	if f.name == presenceGone {
		delete(p.members, f.source)
	} else {
		p.members[f.source] = &member
	}
	changed := known == nil || string(known.Body) != string(member.Body) || f.name == presenceGone
	if changed {
		p.o.OnChange(member, f.name == presenceGone)
	}
	p.mu.Unlock()
	if f.name == presenceHello {
		p.Changed()
	}
}

// expire ends the leases of those who were not heard of in time.
func (p *Presence) expire(now time.Time) {
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
