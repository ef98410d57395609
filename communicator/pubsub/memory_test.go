package pubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/drivertest"
)

func TestWatermillSuite(t *testing.T) {
	drivertest.Transient(t, nil, func(t *testing.T) (message.Publisher, message.Subscriber) {
		d := NewMemory(MemoryOptions{Queue: 10_000, Redeliver: 1000, Backoff: time.Microsecond})
		sub, err := d.Subscriber("group")
		if err != nil {
			t.Fatal(err)
		}
		return d, sub
	})
}

func msg(s string) *message.Message { return message.NewMessage(s, message.Payload(s)) }

func subscribe(t *testing.T, d Driver, group, topic string) (<-chan *message.Message, context.CancelFunc) {
	t.Helper()
	s, err := d.Subscriber(group)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ch, err := s.Subscribe(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); s.Close() })
	return ch, cancel
}

// take reads n messages and acknowledges them.
func take(t *testing.T, ch <-chan *message.Message, n int) []string {
	t.Helper()
	var got []string
	for range n {
		select {
		case m, ok := <-ch:
			if !ok {
				t.Fatalf("closed after %d of %d", len(got), n)
			}
			got = append(got, string(m.Payload))
			m.Ack()
		case <-time.After(30 * time.Second):
			t.Fatalf("%d of %d messages came", len(got), n)
		}
	}
	return got
}

func TestMemoryGroups(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	if err := d.Publish("t", msg("lost")); !errors.Is(err, ErrNoSubscribers) || !errors.Is(err, ErrNotSent) {
		t.Fatal(err)
	}
	a1, stopA1 := subscribe(t, d, "a", "t")
	a2, _ := subscribe(t, d, "a", "t")
	b, _ := subscribe(t, d, "b", "t")
	single1, _ := subscribe(t, d, "", "t")
	single2, _ := subscribe(t, d, "", "t")
	for i := range 10 {
		if err := d.Publish("t", msg(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	one, two := take(t, a1, 5), take(t, a2, 5)
	seen := map[string]int{}
	for _, s := range append(one, two...) {
		seen[s]++
	}
	if len(seen) != 10 {
		t.Fatalf("group a got %v and %v", one, two)
	}
	for _, ch := range []<-chan *message.Message{b, single1, single2} {
		if got := fmt.Sprint(take(t, ch, 10)); got != "[0 1 2 3 4 5 6 7 8 9]" {
			t.Fatal(got)
		}
	}
	// What a member leaves behind goes to the others.
	for i := range 10 {
		if err := d.Publish("t", msg(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	stopA1()
	if got := take(t, a2, 10); len(got) != 10 {
		t.Fatal(got)
	}
}

func TestMemoryBlocksWhenFull(t *testing.T) {
	d := NewMemory(MemoryOptions{Queue: 2, OnDeadLetter: func(string, *message.Message, error) {}})
	defer d.Close()
	ch, _ := subscribe(t, d, "", "t")
	publish := func(ctx context.Context, s string) error {
		m := msg(s)
		m.SetContext(ctx)
		return d.Publish("t", m)
	}
	first := make(chan *message.Message)
	go func() { first <- <-ch }()
	if err := publish(t.Context(), "0"); err != nil {
		t.Fatal(err)
	}
	m := <-first // out of the queue and not acknowledged
	for _, s := range []string{"1", "2"} {
		if err := publish(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := publish(ctx, "3"); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- publish(context.Background(), "4") }()
	m.Ack()
	if got := fmt.Sprint(take(t, ch, 3)); got != "[1 2 4]" {
		t.Fatal(got)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	// Publishers that wait when it is closed get an error.
	for range 3 {
		if err := publish(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	go func() { waited <- publish(context.Background(), "last") }()
	d.Close()
	if err := <-waited; !errors.Is(err, ErrNotSent) {
		t.Fatal(err)
	}
	if _, err := d.Subscriber(""); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestMemoryNack(t *testing.T) {
	type dead struct {
		payload string
		err     error
	}
	deaths := make(chan dead, 10)
	d := NewMemory(MemoryOptions{Redeliver: 2, Backoff: time.Microsecond,
		OnDeadLetter: func(_ string, m *message.Message, err error) {
			deaths <- dead{string(m.Payload), err}
		}})
	defer d.Close()
	ch, stop := subscribe(t, d, "", "t")
	if err := d.Publish("t", msg("bad"), msg("good")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m := <-ch
		if string(m.Payload) != "bad" {
			t.Fatalf("%s overtook", m.Payload)
		}
		m.Nack()
	}
	if got := <-deaths; got.payload != "bad" || !errors.Is(got.err, bus.ErrNacked) {
		t.Fatal(got)
	}
	m := <-ch
	if string(m.Payload) != "good" {
		t.Fatal(string(m.Payload))
	}
	if err := d.Publish("t", msg("queued")); err != nil {
		t.Fatal(err)
	}
	stop() // with one in hand and one queued
	got := map[string]bool{(<-deaths).payload: true, (<-deaths).payload: true}
	if !got["good"] || !got["queued"] {
		t.Fatal(got)
	}
	if _, open := <-ch; open {
		t.Fatal("open")
	}
	if m.Context().Err() == nil {
		t.Fatal("the message's context goes on")
	}
}

func TestMemorySharesNothing(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	a, _ := subscribe(t, d, "", "t")
	b, _ := subscribe(t, d, "", "t")
	received := make(chan *message.Message, 1)
	s, _ := d.Subscriber("")
	stop, err := s.(Receiver).Receive("t", func(m *message.Message) { received <- m })
	if err != nil {
		t.Fatal(err)
	}
	m := msg("payload")
	m.Metadata.Set("k", "v")
	if err := d.Publish("t", m); err != nil {
		t.Fatal(err)
	}
	ma := <-a
	ma.Payload[0], (<-received).Payload[1] = 'X', 'Y'
	ma.Metadata["k"] = "other"
	mb := <-b
	if string(mb.Payload) != "payload" || string(m.Payload) != "payload" || mb.Metadata["k"] != "v" ||
		m.Metadata["k"] != "v" {
		t.Fatalf("%s %s %v %v", m.Payload, mb.Payload, m.Metadata, mb.Metadata)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := d.Publish("t", message.NewMessage("", make([]byte, 4<<20+1))); !errors.Is(err, ErrNotSent) {
		t.Fatal(err)
	}
}

// Subscribers come and go while others publish: each message that Publish accepted is delivered or
// dead-lettered.
func TestMemoryForgetsNothing(t *testing.T) {
	var mu sync.Mutex
	ends := map[string]int{}
	end := func(m *message.Message) {
		mu.Lock()
		defer mu.Unlock()
		ends[m.UUID]++
	}
	d := NewMemory(MemoryOptions{Queue: 4, OnDeadLetter: func(_ string, m *message.Message, _ error) { end(m) }})
	var publishers, subscribers sync.WaitGroup
	stop, subscribed := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(subscribed) })
	for range 4 {
		subscribers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s, err := d.Subscriber("g")
				if err != nil {
					t.Error(err)
					return
				}
				ch, err := s.Subscribe(context.Background(), "t")
				if err != nil {
					t.Error(err)
					return
				}
				first()
				for range 3 {
					select {
					case m := <-ch:
						if m.Ack() {
							end(m)
						}
					case <-stop:
					}
				}
				s.Close()
			}
		})
	}
	testkit.Receive(t, subscribed) // or all could be published before
	accepted := make(chan string, 4000)
	for p := range 4 {
		publishers.Go(func() {
			for i := range 1000 {
				m := msg(fmt.Sprintf("%d-%d", p, i))
				if err := d.Publish("t", m); err == nil {
					accepted <- m.UUID
				} else if !errors.Is(err, ErrNoSubscribers) {
					t.Error(err)
				}
			}
		})
	}
	publishers.Wait()
	close(stop)
	subscribers.Wait()
	d.Close()
	close(accepted)
	n := 0
	for id := range accepted {
		n++
		if ends[id] == 0 {
			t.Fatalf("message %s was forgotten", id)
		}
	}
	if n == 0 {
		t.Fatal("nothing was accepted")
	}
}

// What the zero options and the negative ones mean.
func TestMemoryDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		d := NewMemory(MemoryOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		defer d.Close()
		ch, stop := subscribe(t, d, "", "t")
		defer stop()
		began := time.Now()
		if err := d.Publish("t", msg("bad")); err != nil {
			t.Fatal(err)
		}
		var at []time.Duration
		for range 4 {
			(<-ch).Nack()
			at = append(at, time.Since(began))
		}
		const ms = time.Millisecond
		if want := []time.Duration{0, 10 * ms, 30 * ms, 70 * ms}; !slices.Equal(at, want) {
			t.Errorf("delivered at %v, want %v", at, want)
		}
		synctest.Wait()
		if !strings.Contains(log.String(), "dead-lettered") || !strings.Contains(log.String(), "nacked too often") {
			t.Errorf("the log says %q", log.String())
		}
		// One is on its way to the subscriber, the others are queued.
		fits := func() (n int) {
			for ; ; n++ {
				m, done := msg("x"), make(chan error, 1)
				ctx, cancel := context.WithCancel(t.Context())
				m.SetContext(ctx)
				go func() { done <- d.Publish("t", m) }()
				synctest.Wait()
				cancel()
				if err := <-done; err != nil {
					if !errors.Is(err, ErrNotSent) {
						t.Error(err)
					}
					return n
				}
			}
		}
		if n := fits(); n != 1+1024 {
			t.Errorf("%d messages fit", n)
		}
	})
	for limit, sizes := range map[int]map[int]bool{0: {4 << 20: true, 4<<20 + 1: false}, 10: {10: true, 11: false},
		-1: {4<<20 + 1: true}} {
		d := NewMemory(MemoryOptions{MaxPayload: limit})
		for size, fits := range sizes {
			err := d.Publish("nobody", message.NewMessage("", make([]byte, size)))
			if errors.Is(err, ErrNoSubscribers) != fits || !errors.Is(err, ErrNotSent) {
				t.Errorf("with the limit %d, %d bytes: %v", limit, size, err)
			}
		}
		_ = d.Close()
	}
	d := NewMemory(MemoryOptions{Redeliver: -1, OnDeadLetter: func(string, *message.Message, error) {}})
	defer d.Close()
	ch, stop := subscribe(t, d, "", "t")
	defer stop()
	if err := d.Publish("t", msg("bad"), msg("good")); err != nil {
		t.Fatal(err)
	}
	(<-ch).Nack()
	if m := <-ch; string(m.Payload) != "good" {
		t.Errorf("%s is delivered again", m.Payload)
	}
}

// What becomes of a message whose subscribers have no room: nothing is lost in silence, and nothing
// is delivered twice.
func TestMemoryWithoutRoom(t *testing.T) {
	bubble := func(name string, f func(t *testing.T, d *Memory, publish func(string) <-chan error)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := NewMemory(MemoryOptions{Queue: 1, OnDeadLetter: func(string, *message.Message, error) {}})
				defer d.Close()
				f(t, d, func(s string) <-chan error {
					m, done := msg(s), make(chan error, 1)
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					m.SetContext(ctx)
					go func() { defer cancel(); done <- d.Publish("t", m) }()
					synctest.Wait()
					return done
				})
			})
		})
	}
	bubble("one group of two", func(t *testing.T, d *Memory, publish func(string) <-chan error) {
		_, stop := subscribe(t, d, "full", "t")
		defer stop()
		ch, stopOther := subscribe(t, d, "other", "t")
		defer stopOther()
		for _, s := range []string{"in hand", "queued"} {
			if err := <-publish(s); err != nil {
				t.Fatal(err)
			}
		}
		take(t, ch, 2)
		if err := <-publish("third"); err == nil || errors.Is(err, ErrNotSent) ||
			!strings.Contains(err.Error(), "not every group") {
			t.Errorf("%v: it reached one group, and not the other", err)
		}
		if got := take(t, ch, 1); got[0] != "third" {
			t.Error(got)
		}
	})
	bubble("both members of a group", func(t *testing.T, d *Memory, publish func(string) <-chan error) {
		a, stopA := subscribe(t, d, "g", "t")
		defer stopA()
		b, stopB := subscribe(t, d, "g", "t")
		defer stopB()
		for n := range 4 {
			if err := <-publish(fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
		last := publish("last")
		got := append(take(t, a, 1), take(t, b, 1)...)
		if err := <-last; err != nil {
			t.Error(err)
		}
		for {
			synctest.Wait()
			select {
			case m := <-a:
				got = append(got, string(m.Payload))
				m.Ack()
				continue
			case m := <-b:
				got = append(got, string(m.Payload))
				m.Ack()
				continue
			default:
			}
			break
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"0", "1", "2", "3", "last"}) {
			t.Errorf("delivered %v", got)
		}
	})
	bubble("the only one leaves", func(t *testing.T, d *Memory, publish func(string) <-chan error) {
		_, stop := subscribe(t, d, "", "t")
		for _, s := range []string{"in hand", "queued"} {
			if err := <-publish(s); err != nil {
				t.Fatal(err)
			}
		}
		last := publish("last")
		stop()
		if err := <-last; !errors.Is(err, ErrNoSubscribers) {
			t.Error(err)
		}
	})
}
