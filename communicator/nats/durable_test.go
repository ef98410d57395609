package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/drivertest"
)

func durable(t testing.TB, d *Driver, o DurableOptions) *Durable {
	t.Helper()
	v, err := d.Durable(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := v.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return v
}

func listen(t testing.TB, v *Durable, group, topic string, fn pubsub.EventHandler) func(context.Context) error {
	t.Helper()
	stop, err := v.Subscribe(group, topic, fn)
	if err != nil {
		t.Fatal(err)
	}
	return stop
}

func keep(t testing.TB, v *Durable, p agent.Event) {
	t.Helper()
	if err := v.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

type seen struct {
	p       agent.Event
	attempt int
}

func TestDurableEvents(t *testing.T) {
	v := durable(t, open(t, testBroker(t).options()), DurableOptions{Backoff: time.Millisecond})
	early := agent.Event{ID: "1 %\n", Topic: "file.found", Source: "collector", Key: "k",
		Payload: json.RawMessage(`{"a":1}`), Meta: map[string]string{"traceparent": "00-x"}}
	for range 3 { // the same, three times
		keep(t, v, early)
	}
	got := map[string]chan seen{"a": make(chan seen, 10), "b": make(chan seen, 10)}
	for name, ch := range got {
		for range 2 { // two instances
			listen(t, v, name, "file.found", func(_ context.Context, p agent.Event, attempt int) error {
				ch <- seen{p, attempt}
				if p.ID != early.ID && attempt < 3 {
					return errors.New("not yet")
				}
				return nil
			})
		}
	}
	keep(t, v, agent.Event{ID: "other", Topic: "file.lost"})
	for name, ch := range got {
		if s := testkit.Receive(t, ch); fmt.Sprint(s.p) != fmt.Sprint(early) || s.attempt != 1 {
			t.Errorf("%s got %+v", name, s)
		}
	}
	for _, key := range []string{"", "k"} {
		id := "again" + key
		keep(t, v, agent.Event{ID: id, Topic: "file.found", Key: key})
		for name, ch := range got {
			for want := range 3 {
				if s := testkit.Receive(t, ch); s.p.ID != id || s.attempt != want+1 {
					t.Errorf("%s got %+v, want attempt %d", name, s, want+1)
				}
			}
		}
	}
}

func TestDeadLetteredEvents(t *testing.T) {
	told := make(chan DeadLetter, 10)
	v := durable(t, open(t, testBroker(t).options()),
		DurableOptions{Attempts: 3, Backoff: time.Millisecond, OnDeadLetter: func(d DeadLetter) {
			told <- d
		}})
	var mu sync.Mutex
	healthy := false
	got := make(chan seen, 20)
	listen(t, v, "a", "t", func(_ context.Context, p agent.Event, attempt int) error {
		mu.Lock()
		defer mu.Unlock()
		got <- seen{p, attempt}
		switch {
		case healthy:
			return nil
		case p.ID == "panics":
			panic("oh")
		case p.ID == "nonsense":
			return agent.Errorf(agent.CodeInvalidArgument, "it does not\ndecode")
		}
		return errors.New("never")
	})
	other := make(chan seen, 20)
	listen(t, v, "b", "t", func(_ context.Context, p agent.Event, attempt int) error {
		other <- seen{p, attempt}
		return nil
	})
	attempts := map[string]int{"fails": 3, "panics": 3, "nonsense": 1}
	for _, id := range []string{"fails", "panics", "nonsense"} {
		keep(t, v, agent.Event{ID: id, Topic: "t", Source: "s", Payload: json.RawMessage(`{"x":1}`)})
		d := testkit.Receive(t, told)
		if d.Event.ID != id || d.Attempts != attempts[id] || d.Agent != "a" || len(got) != attempts[id] {
			t.Errorf("%s: %+v after %d attempts", id, d, len(got))
		}
		for len(got) > 0 {
			<-got
		}
		testkit.Receive(t, other)
	}
	dead, err := v.DeadLetters(t.Context(), "", "", 0, 100)
	if err != nil || len(dead) != 3 {
		t.Fatal(dead, err)
	}
	for i, id := range []string{"fails", "panics", "nonsense"} {
		d := dead[i]
		if d.Event.ID != id || d.Event.Topic != "t" || d.Event.Source != "s" ||
			string(d.Event.Payload) != `{"x":1}` || d.Agent != "a" ||
			d.Attempts != attempts[id] || d.Reason == "" || d.Seq == 0 || time.Since(d.At) > time.Hour {
			t.Errorf("%s is listed as %+v", id, d)
		}
	}
	for _, c := range []struct {
		agent, topic string
		from         uint64
		limit, want  int
	}{{"a", "", 0, 100, 3}, {"b", "", 0, 100, 0}, {"", "t", 0, 100, 3}, {"a", "u", 0, 100, 0},
		{"", "", dead[1].Seq, 100, 2}, {"", "", 0, 1, 1}} {
		if l, err := v.DeadLetters(t.Context(), c.agent, c.topic, c.from, c.limit); err != nil || len(l) != c.want {
			t.Errorf("%+v: %d %v", c, len(l), err)
		}
	}
	mu.Lock()
	healthy = true
	mu.Unlock()
	if n, err := v.Replay(t.Context(), dead[0].Seq, dead[2].Seq); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, id := range []string{"fails", "nonsense"} {
		if s := testkit.Receive(t, got); s.p.ID != id || s.attempt != 1 || string(s.p.Payload) != `{"x":1}` {
			t.Errorf("replayed: %+v", s)
		}
	}
	if n, err := v.Replay(t.Context(), dead[0].Seq); n != 0 || agent.CodeOf(err) != agent.CodeNotFound {
		t.Error(n, err)
	}
	if n, err := v.Forget(t.Context(), dead[1].Seq); n != 1 || err != nil {
		t.Error(n, err)
	}
	if l, err := v.DeadLetters(t.Context(), "", "", 0, 100); err != nil || len(l) != 0 {
		t.Error(l, err)
	}
	if len(other) != 0 {
		t.Error("another agent got what was replayed")
	}
}

// A handler that needs longer than AckWait keeps its event.
func TestDurableSlowHandler(t *testing.T) {
	t.Parallel()
	v := durable(t, open(t, testBroker(t).options()), DurableOptions{AckWait: 1500 * time.Millisecond})
	got, release := make(chan seen, 10), make(chan struct{})
	for range 2 {
		listen(t, v, "a", "t", func(_ context.Context, p agent.Event, attempt int) error {
			got <- seen{p, attempt}
			<-release
			return nil
		})
	}
	keep(t, v, agent.Event{ID: "slow", Topic: "t"})
	testkit.Receive(t, got)
	select {
	case s := <-got:
		t.Fatalf("delivered again: %+v", s)
	case <-time.After(3500 * time.Millisecond): // more than two times of it
	}
	close(release)
}

// Events that wait for a free handler wait at the broker, whoever is slow: none comes twice.
func TestDurableBacklogWaitsAtTheBroker(t *testing.T) {
	t.Parallel()
	v := durable(t, open(t, testBroker(t).options()), DurableOptions{Concurrency: 4, AckWait: 900 * time.Millisecond})
	const events = 12
	for i := range events {
		keep(t, v, agent.Event{ID: fmt.Sprint(i), Topic: "t"})
	}
	got := make(chan seen, 10*events)
	for range 2 { // as two processes
		listen(t, v, "a", "t", func(_ context.Context, p agent.Event, attempt int) error {
			got <- seen{p, attempt}
			time.Sleep(1500 * time.Millisecond) // a slow tool
			return nil
		})
	}
	ids := map[string]bool{}
	for range events {
		s := testkit.Receive(t, got)
		if s.attempt != 1 || ids[s.p.ID] {
			t.Errorf("event %s was delivered again: %d", s.p.ID, s.attempt)
		}
		ids[s.p.ID] = true
	}
}

// Somebody deletes the consumer, idle or busy: it is made anew, and no event is lost that was not
// handled.
func TestDurableConsumerDeleted(t *testing.T) {
	v := durable(t, open(t, testBroker(t).options()), DurableOptions{})
	got := make(chan seen, 10)
	listen(t, v, "a", "t", func(_ context.Context, p agent.Event, attempt int) error {
		got <- seen{p, attempt}
		return nil
	})
	for _, id := range []string{"1", "2", "3"} {
		keep(t, v, agent.Event{ID: id, Topic: "t"})
		for s := testkit.Receive(t, got); s.p.ID != id; s = testkit.Receive(t, got) { // at least once
			t.Log("again:", s.p.ID)
		}
		if err := v.js.DeleteConsumer(t.Context(), v.eventStream, "a@t"); err != nil {
			t.Fatal(err)
		}
	}
}

// A subscription that ends leaves nothing waiting: the next event goes to another one at once.
func TestDurableStopLeavesNothingBehind(t *testing.T) {
	v := durable(t, open(t, testBroker(t).options()), DurableOptions{InOrder: true, AckWait: time.Hour})
	got := make(chan string, 100)
	for n := range 20 {
		stop := listen(t, v, "a", "t", func(_ context.Context, p agent.Event, _ int) error {
			got <- p.ID
			return nil
		})
		stopped := make(chan error, 1)
		go func() { stopped <- stop(context.Background()) }()
		keep(t, v, agent.Event{ID: fmt.Sprint(n), Topic: "t"})
		if err := testkit.Receive(t, stopped); err != nil {
			t.Fatal(err)
		}
	}
	listen(t, v, "a", "t", func(_ context.Context, p agent.Event, _ int) error {
		got <- p.ID
		return nil
	})
	ids := map[string]bool{}
	for len(ids) < 20 {
		ids[testkit.Receive(t, got)] = true
	}
}

func TestDurableOrderByKey(t *testing.T) {
	v := durable(t, open(t, testBroker(t).options()), DurableOptions{Concurrency: 8, Backoff: time.Millisecond})
	drivertest.OrderedByKey(t, v)
}

// What a subscription has in hand when it ends goes to the next one at once.
func TestDurableStop(t *testing.T) {
	d := open(t, testBroker(t).options())
	v := durable(t, d, DurableOptions{})
	began := make(chan struct{}, 1)
	stop := listen(t, v, "a", "t", func(ctx context.Context, p agent.Event, _ int) error {
		began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	keep(t, v, agent.Event{ID: "1", Topic: "t"})
	testkit.Receive(t, began)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stop(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	keep(t, v, agent.Event{ID: "2", Topic: "t"})
	got := make(chan seen, 2)
	stop = listen(t, v, "a", "t", func(_ context.Context, p agent.Event, attempt int) error {
		got <- seen{p, attempt}
		return nil
	})
	ids := map[string]int{}
	for range 2 {
		s := testkit.Receive(t, got)
		ids[s.p.ID] = s.attempt
	}
	if ids["1"] < 2 || ids["2"] != 1 { // it may have been offered to the old subscription again
		t.Error(ids)
	}
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Subscribe("a", "t", nil); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Error(err)
	}
}

// silent is an iterator whose broker has ended: there is no end of it, and no event.
type silent struct {
	jetstream.MessagesContext
	drained bool
}

func (s *silent) Drain() { s.drained = true }

func (s *silent) Next(opts ...jetstream.NextOpt) (jetstream.Msg, error) {
	if len(opts) == 0 {
		select {}
	}
	return nil, context.DeadlineExceeded
}

// A subscription does not wait for ever for a broker that ends while it returns its events.
func TestDrainEndsWithoutAnAnswer(t *testing.T) {
	v := durable(t, open(t, testBroker(t).options()), DurableOptions{})
	s := &durableSubscription{durableHandler: durableHandler{v: v}}
	s.stopped, s.stop = context.WithCancel(t.Context())
	events := &silent{}
	if s.drain(events); !events.drained {
		t.Error("it was not drained")
	}
}
