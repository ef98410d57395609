package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openmas/openmas/agent"
)

// A Hub is where events are published and subscribed to. H is its type of handlers.
type Hub[H ~func(context.Context, agent.Event, int) error] interface {
	Publish(ctx context.Context, p agent.Event) error
	Subscribe(group, topic string, fn H) (stop func(context.Context) error, err error)
}

// EachGroupOnce publishes on one hub, with two instances of two agents listening on it and on
// another: each agent gets each event once, as it was published.
func EachGroupOnce[H ~func(context.Context, agent.Event, int) error](t *testing.T, e, other Hub[H]) {
	const n = 200
	publish(t, e, agent.Event{Topic: "file.found"}) // nobody listens: no error
	event := agent.Event{Topic: "file.found", Source: "c", Key: "k", Payload: json.RawMessage(`{"p":1}`),
		Meta: map[string]string{"traceparent": "00-x"}}
	var mu sync.Mutex
	got := map[string]int{}
	var all sync.WaitGroup
	all.Add(2 * n)
	for _, hub := range []Hub[H]{e, other} {
		for _, group := range []string{"a", "b"} {
			listen(t, hub, group, "file.found", func(_ context.Context, p agent.Event, attempt int) error {
				want := event
				want.ID = p.ID
				if attempt != 1 || !reflect.DeepEqual(p, want) {
					t.Errorf("attempt %d, got  %+v\nwant %+v", attempt, p, want)
				}
				mu.Lock()
				defer mu.Unlock()
				got[group+p.ID]++
				all.Done()
				return nil
			})
		}
	}
	lost := make(chan struct{})
	listen(t, e, "a", "file.lost", func(context.Context, agent.Event, int) error { close(lost); return nil })
	for i := range n {
		event := event
		event.ID = strconv.Itoa(i)
		publish(t, e, event)
	}
	publish(t, e, agent.Event{Topic: "file.lost"})
	<-lost
	all.Wait()
	if len(got) != 2*n {
		t.Errorf("%d different ones of %d", len(got), 2*n)
	}
}

// OrderedByKey publishes events of several keys, each of every seventh of which fails at first:
// nothing overtakes another of its key. It returns how many handlers ran at once at most.
func OrderedByKey[H ~func(context.Context, agent.Event, int) error](t *testing.T, e Hub[H]) int {
	const keys, each = 5, 50
	var mu sync.Mutex
	last := map[string]int{}
	var now, most atomic.Int32
	var all sync.WaitGroup
	all.Add(keys * each)
	listen(t, e, "a", "t", func(_ context.Context, p agent.Event, attempt int) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		i, err := strconv.Atoi(string(p.Payload))
		if err != nil {
			t.Error(err)
		}
		if i%7 == 0 && attempt == 1 {
			return errors.New("again, and nobody overtakes")
		}
		mu.Lock()
		defer mu.Unlock()
		if i != last[p.Key] {
			t.Errorf("key %s: %d came, not %d", p.Key, i, last[p.Key])
		}
		last[p.Key]++
		all.Done()
		return nil
	})
	for i := range each {
		for k := range keys {
			publish(t, e, agent.Event{Topic: "t", Key: strconv.Itoa(k),
				Payload: json.RawMessage(strconv.Itoa(i))})
		}
	}
	all.Wait()
	return int(most.Load())
}

func listen[H ~func(context.Context, agent.Event, int) error](t *testing.T, e Hub[H], group, topic string, fn H) {
	t.Helper()
	if _, err := e.Subscribe(group, topic, fn); err != nil {
		t.Fatal(err)
	}
}

func publish[H ~func(context.Context, agent.Event, int) error](t *testing.T, e Hub[H], p agent.Event) {
	t.Helper()
	if err := e.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}
