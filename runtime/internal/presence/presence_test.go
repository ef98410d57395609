package presence

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/bus"
)

// A process of the project in tests: the changes it noticed, and its description.
type process struct {
	*Registry
	mu          sync.Mutex
	description string
	log         []string
	stop        func()
}

func (w *process) changed(m Member, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%s %s %v", m.Process, m.Description, gone))
}

func (w *process) take() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log = nil
	return log
}

func (w *process) describe(what string) {
	w.mu.Lock()
	w.description = what
	w.mu.Unlock()
}

func attend(t *testing.T, d pubsub.Driver, name string) *process {
	t.Helper()
	w := &process{description: name + "1"}
	p, err := New(d, Options{Project: "test", Process: name, OnChange: w.changed,
		Describe: func() []byte {
			w.mu.Lock()
			defer w.mu.Unlock()
			return []byte(w.description)
		}})
	if err != nil {
		t.Fatal(err)
	}
	w.Registry = p
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	w.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(w.stop)
	time.Sleep(time.Second) // others may have answered just before
	return w
}

// cut is a driver whose connection can be lost.
type cut struct {
	pubsub.Driver
	off atomic.Bool
}

func (c *cut) Publish(topic string, m ...*message.Message) error {
	if c.off.Load() {
		return pubsub.ErrNotSent
	}
	return c.Driver.Publish(topic, m...)
}

// Subscriber hides Receive, so that what comes meanwhile can be lost too.
func (c *cut) Subscriber(group string) (message.Subscriber, error) {
	s, err := c.Driver.Subscriber(group)
	return cutSubscriber{s.(pubsub.Receiver), s, c}, err
}

type cutSubscriber struct {
	r pubsub.Receiver
	message.Subscriber
	c *cut
}

func (s cutSubscriber) Receive(topic string, fn func(*message.Message)) (func() error, error) {
	return s.r.Receive(topic, func(m *message.Message) {
		if !s.c.off.Load() {
			fn(m)
		}
	})
}

func want(t *testing.T, what string, got []string, wanted ...string) {
	t.Helper()
	slices.Sort(got)
	if !slices.Equal(got, wanted) {
		t.Errorf("%s: %q, want %q", what, got, wanted)
	}
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pubsub.NewMemory(pubsub.MemoryOptions{})
		defer d.Close()
		a, b := attend(t, d, "a"), attend(t, d, "b")
		want(t, "a meets b", a.take(), "b b1 false")
		want(t, "b meets a", b.take(), "a a1 false")
		c := attend(t, d, "c")
		want(t, "who joins later is seen", a.take(), "c c1 false")
		want(t, "and sees all", c.take(), "a a1 false", "b b1 false")

		time.Sleep(time.Minute)
		want(t, "nothing changes", append(a.take(), c.take()...))
		if s := a.Silent(); len(s) > 0 {
			t.Errorf("silent: %v", s)
		}

		b.describe("b2")
		b.Changed()
		time.Sleep(time.Second)
		want(t, "a change", a.take(), "b b2 false")
		b.describe("b3")
		time.Sleep(11 * time.Second)
		want(t, "a change that was not announced", a.take(), "b b3 false")
		if m := a.Members(); len(m) != 2 || m[0].Process != "b" || string(m[0].Description) != "b3" ||
			!m[0].LastSeen.After(m[0].Since) {
			t.Errorf("%+v", m)
		}
		b.stop()
		want(t, "b leaves", a.take(), "b b3 true")
		a.stop()
		c.stop()
	})
}

func TestPresenceLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pubsub.NewMemory(pubsub.MemoryOptions{})
		defer d.Close()
		line := &cut{Driver: d}
		a, b := attend(t, d, "a"), attend(t, line, "b")
		c := attend(t, d, "c")
		a.take()
		b.take()
		line.off.Store(true)
		time.Sleep(6 * time.Second)
		want(t, "a lease has not run out", a.take())
		if s := a.Silent(); len(s) != 1 || s["b"] < 4*time.Second || s["b"] > 8*time.Second {
			t.Errorf("silent: %v", s)
		}
		time.Sleep(4 * time.Second)
		want(t, "a lease has run out within ten seconds", a.take(), "b b1 true")
		time.Sleep(time.Minute)
		want(t, "who is cut off itself blames nobody", b.take())
		c.stop()
		a.describe("a2")
		a.Changed()
		time.Sleep(time.Second)
		line.off.Store(false)
		time.Sleep(3 * time.Second)
		want(t, "who was away is back", a.take(), "b b1 false", "c c1 true")
		want(t, "and learns what has changed", b.take(), "a a2 false")
		time.Sleep(10 * time.Second)
		want(t, "and who has gone", b.take(), "c c1 true")
		a.stop()
		b.stop()
	})
}

// Who has changed can wait until the others were told, also when the line was cut meanwhile.
func TestAwaitTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pubsub.NewMemory(pubsub.MemoryOptions{})
		defer d.Close()
		line := &cut{Driver: d}
		a, b := attend(t, d, "a"), attend(t, line, "b")
		a.take()
		b.AwaitTold(t.Context()) // nothing has changed
		for n := range 3 {
			what := fmt.Sprint("c", n)
			b.describe(what)
			b.Changed()
			b.AwaitTold(t.Context())
			want(t, "it is told", a.take(), "b "+what+" false")
		}
		line.off.Store(true)
		b.describe("d")
		b.Changed()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.AwaitTold(ctx)
		if ctx.Err() == nil {
			t.Error("it was told over a line that is cut")
		}
		time.AfterFunc(time.Second, func() { line.off.Store(false) })
		b.AwaitTold(t.Context())
		want(t, "it is told when the line is back", a.take(), "b d false")
		b.stop()
		a.stop()
	})
}

// A word without a description, from somebody who is not known, has everybody asked who they are.
func TestPresenceAsksWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := pubsub.NewMemory(pubsub.MemoryOptions{})
		defer d.Close()
		a := attend(t, d, "a")
		received := make(chan bus.Frame, 10)
		stop, err := bus.Receive(d, "", "om.1.test.presence", func(m *message.Message) {
			f, _ := bus.Decode(m)
			received <- f
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		announce := func(md map[string]string, body string) {
			t.Helper()
			md["kind"], md["v"] = bus.KindPresence, "1"
			if err := d.Publish("om.1.test.presence",
				&message.Message{Metadata: md, Payload: []byte(body)}); err != nil {
				t.Fatal(err)
			}
			<-received
			synctest.Wait()
		}
		announce(map[string]string{"name": "here", "source": "x"}, "")
		if f := <-received; f.Name != bus.PresenceHello || string(f.Payload) != "a1" {
			t.Errorf("%+v", f)
		}
		announce(map[string]string{"name": "here", "source": "x"}, "x1")
		want(t, "it is known", a.take(), "x x1 false")
		// None of these changes anything.
		announce(map[string]string{"name": "gone", "source": "y"}, "")
		announce(map[string]string{"name": "here", "source": "a"}, "an echo")
		announce(map[string]string{"name": "here"}, "nobody")
		announce(map[string]string{"name": "later", "source": "x"}, "")
		want(t, "nothing", a.take())
		a.stop()
	})
}

// announced is what another process sends.
func announced(t *testing.T, kind, process, description string) *message.Message {
	t.Helper()
	f := bus.Frame{Kind: bus.KindPresence, Name: kind, Source: process}
	if description != "" {
		f.Payload = []byte(description)
	}
	m, refused := f.Encode(1 << 20)
	if refused != nil {
		t.Fatal(refused)
	}
	return m
}

// registry is one that does not run.
func registry(t *testing.T, d pubsub.Driver, changed func(Member, bool)) *Registry {
	t.Helper()
	r, err := New(d, Options{Project: "test", Process: "a", OnChange: changed,
		Describe: func() []byte { return []byte("a") }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// A description is kept as it was received, though its message is used again.
func TestADescriptionOutlivesItsMessage(t *testing.T) {
	d := pubsub.NewMemory(pubsub.MemoryOptions{})
	defer d.Close()
	r := registry(t, d, func(Member, bool) {})
	m := announced(t, bus.PresenceHere, "b", "b1")
	r.receive(m)
	copy(m.Payload, "xx")
	if got := r.Members(); len(got) != 1 || string(got[0].Description) != "b1" {
		t.Errorf("%+v", got)
	}
}

// So many processes are remembered; those that are known stay, and one that leaves makes room.
func TestOnlySoManyMembers(t *testing.T) {
	d := pubsub.NewMemory(pubsub.MemoryOptions{})
	defer d.Close()
	came := 0
	r := registry(t, d, func(Member, bool) { came++ })
	for n := range maxMembers {
		r.receive(announced(t, bus.PresenceHere, fmt.Sprint("p", n), "x"))
	}
	r.receive(announced(t, bus.PresenceHere, "more", "x"))
	r.receive(announced(t, bus.PresenceHere, "p0", "y"))
	if n := len(r.Members()); n != maxMembers || came != maxMembers+1 {
		t.Errorf("%d members after %d changes", n, came)
	}
	r.receive(announced(t, bus.PresenceGone, "p0", ""))
	r.receive(announced(t, bus.PresenceHere, "more", "x"))
	if n := len(r.Members()); n != maxMembers || came != maxMembers+3 {
		t.Errorf("%d members after %d changes", n, came)
	}
}

// An announcement that asks the others to announce themselves still does when another becomes due
// before it is made.
func TestAHelloThatIsDueIsMade(t *testing.T) {
	d := pubsub.NewMemory(pubsub.MemoryOptions{})
	defer d.Close()
	for _, first := range []func(*Registry){func(*Registry) {}, (*Registry).Changed} {
		r := registry(t, d, func(Member, bool) {})
		first(r)
		r.receive(announced(t, bus.PresenceHere, "unknown", "")) // it is to describe itself
		r.Changed()
		if kind := r.takeNext(); kind != bus.PresenceHello {
			t.Errorf("announced is %q", kind)
		}
		if kind := r.takeNext(); kind != bus.PresenceHere {
			t.Errorf("announced after it is %q", kind)
		}
	}
}
