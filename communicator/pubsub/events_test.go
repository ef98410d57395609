package pubsub

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/drivertest"
)

// hub runs an event hub until the test ends.
func hub(t *testing.T, d Driver, o EventsOptions) *Events {
	t.Helper()
	o.Project = "test"
	e, err := NewEvents(d, o)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := testkit.Receive(t, ran); err != nil {
			t.Error(err)
		}
	})
	return e
}

func listen(t *testing.T, e *Events, group, topic string, fn EventHandler) func(context.Context) error {
	t.Helper()
	stop, err := e.Subscribe(group, topic, fn)
	if err != nil {
		t.Fatal(err)
	}
	return stop
}

func publish(t *testing.T, e *Events, p agent.Event) {
	t.Helper()
	if err := e.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// A Router that is closed while its first handler begins did not see it end, in one of some 1,000
// rounds: Close then took all of its time.
func TestCloseRightAfterRun(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	for range 5000 {
		e, err := NewEvents(d, EventsOptions{Project: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- e.Run(t.Context()) }()
		<-e.router.Running()
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := testkit.Receive(t, ran); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEventReachesEachAgentOnce(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		drivertest.EachGroupOnce(t, hub(t, d, EventsOptions{}), hub(t, d, EventsOptions{}))
	})
}

func TestEventRetry(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	deaths := make(chan DeadLetter, 10)
	e := hub(t, d, EventsOptions{Backoff: time.Microsecond, OnDeadLetter: func(d DeadLetter) { deaths <- d }})
	attempts := make(chan string, 10)
	listen(t, e, "a", "t", func(_ context.Context, p agent.Event, attempt int) error {
		attempts <- fmt.Sprint(p.ID, attempt)
		switch p.ID {
		case "mended":
			if attempt == 2 {
				return nil
			}
			return errors.New("not yet")
		case "panics":
			panic("oh")
		}
		return agent.Errorf(agent.CodeInvalidArgument, "it does not decode")
	})
	for _, c := range []struct {
		id   string
		want int
		dead bool
	}{{"mended", 2, false}, {"panics", 3, true}, {"nonsense", 1, true}} {
		publish(t, e, agent.Event{ID: c.id, Topic: "t"})
		for i := range c.want {
			if got := testkit.Receive(t, attempts); got != fmt.Sprint(c.id, i+1) {
				t.Fatal(got)
			}
		}
		if c.dead {
			if got := testkit.Receive(t, deaths); got.Event.ID != c.id || got.Attempts != c.want ||
				got.Agent != "a" || got.Err == nil {
				t.Fatalf("%+v", got)
			}
		}
	}
	if len(attempts)+len(deaths) > 0 {
		t.Fatal("more than asked for")
	}
}

func TestEventsOrderedByKey(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	e := hub(t, d, EventsOptions{Concurrency: 8, Backoff: time.Microsecond})
	if most := drivertest.OrderedByKey(t, e); most < 1 || most > 8 {
		t.Fatalf("%d handlers at once", most)
	}
}

// A slow handler slows publishers down, at most for PublishTimeout; then they get an error.
func TestEventBackpressure(t *testing.T) {
	d := NewMemory(MemoryOptions{Queue: 4})
	defer d.Close()
	e := hub(t, d, EventsOptions{Concurrency: 2, PublishTimeout: time.Millisecond})
	release := make(chan struct{})
	handled := make(chan struct{}, 100)
	var most, now atomic.Int32
	listen(t, e, "a", "t", func(context.Context, agent.Event, int) error {
		if n := now.Add(1); n > 2 {
			most.Store(n)
		}
		<-release
		now.Add(-1)
		handled <- struct{}{}
		return nil
	})
	ok := 0
	for {
		err := e.Publish(t.Context(), agent.Event{Topic: "t"})
		if err == nil {
			if ok++; ok > 20 {
				t.Fatal("no backpressure")
			}
			continue
		}
		if agent.CodeOf(err) != agent.CodeResourceExhausted {
			t.Fatal(err)
		}
		break
	}
	close(release)
	for range ok {
		testkit.Receive(t, handled)
	}
	if m := most.Load(); m != 0 {
		t.Fatalf("%d handlers at once", m)
	}
}

func TestEventsStop(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	e := hub(t, d, EventsOptions{OnDeadLetter: func(DeadLetter) {}})
	began, release := make(chan struct{}, 2), make(chan struct{})
	handler := func(ctx context.Context, _ agent.Event, _ int) error {
		began <- struct{}{}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	stop := listen(t, e, "a", "t", handler)
	publish(t, e, agent.Event{Topic: "t"})
	testkit.Receive(t, began)
	stopped := make(chan error)
	go func() { stopped <- stop(context.Background()) }()
	close(release)
	if err := testkit.Receive(t, stopped); err != nil {
		t.Fatal(err)
	}
	publish(t, e, agent.Event{Topic: "t"}) // to nobody
	// The hub goes on with new subscriptions. One that takes too long to end is cancelled.
	release = make(chan struct{})
	stop = listen(t, e, "b", "t", handler)
	publish(t, e, agent.Event{Topic: "t"})
	testkit.Receive(t, began)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stop(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(began) != 0 {
		t.Fatal("handled after the end")
	}
}

// What was queued when the hub is closed is handled.
func TestEventsCloseHandlesTheRest(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		e := hub(t, d, EventsOptions{Concurrency: 1})
		var handled atomic.Int32
		began, release := make(chan struct{}, 1), make(chan struct{})
		listen(t, e, "a", "t", func(context.Context, agent.Event, int) error {
			if handled.Add(1) == 1 {
				close(began)
				<-release
			}
			return nil
		})
		for range 100 {
			publish(t, e, agent.Event{Topic: "t"})
		}
		testkit.Receive(t, began)
		closed := make(chan error)
		go func() { closed <- e.Close(context.Background()) }()
		for e.Publish(t.Context(), agent.Event{Topic: "other"}) == nil { // until it closes
		}
		close(release)
		if err := testkit.Receive(t, closed); err != nil {
			t.Fatal(err)
		}
		if n := handled.Load(); n != 100 {
			t.Fatalf("%d of 100 events were handled", n)
		}
	})
}

func TestEventsBeforeRunAndWithout(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	e, err := NewEvents(d, EventsOptions{Project: "test"})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 2)
	listen(t, e, "a", "t", func(_ context.Context, p agent.Event, _ int) error { got <- p.ID; return nil })
	publish(t, e, agent.Event{ID: "early", Topic: "t"})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- e.Run(ctx) }()
	if id := testkit.Receive(t, got); id != "early" {
		t.Fatal(id)
	}
	cancel()
	if err := testkit.Receive(t, ran); err != nil {
		t.Fatal(err)
	}
	if err := e.Publish(t.Context(), agent.Event{Topic: "t"}); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Fatal(err)
	}
	if _, err := e.Subscribe("a", "t", nil); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Fatal(err)
	}
	if e.Run(t.Context()) == nil {
		t.Fatal("it ran twice")
	}
	never, _ := NewEvents(d, EventsOptions{Project: "test"})
	listen(t, never, "a", "t", nil)
	publish(t, never, agent.Event{Topic: "t"})
	if err := never.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEvents(d, EventsOptions{Project: "a.b"}); err == nil {
		t.Fatal("a project that is no subject")
	}
}
