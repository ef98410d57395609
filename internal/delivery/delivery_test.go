package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type dead struct {
	id       string
	attempts int
	err      error
}

// bench is a dispatcher with what became of its events.
type bench struct {
	*Dispatcher
	mu   sync.Mutex
	dead []dead
	wg   sync.WaitGroup
}

func newBench(o Options, fn Handler) *bench {
	b := &bench{}
	o.Agent, o.Topic, o.Logger = "editor", "text.saved", slog.New(slog.DiscardHandler)
	o.Attempts, o.Backoff = DefaultAttempts, DefaultBackoff
	o.OnDeadLetter = func(p agent.Event, attempts int, err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.dead = append(b.dead, dead{p.ID, attempts, err})
	}
	b.Dispatcher = New(o, fn)
	return b
}

// publish has an event handled as a broker does.
func (b *bench) publish(ctx context.Context, p agent.Event) bool {
	if !b.Reserve(ctx.Done(), nil) {
		return false
	}
	e := b.Accept(p)
	b.wg.Go(func() { b.Handle(ctx, e) })
	return true
}

// An event with a key is tried again before its successors, which later events of other keys do not
// wait for.
func TestKeysAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		b := newBench(Options{Concurrency: 8}, func(_ context.Context, p agent.Event, attempt int) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%s#%d", p.ID, attempt))
			if p.ID == "a1" && attempt < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		for _, id := range []string{"a1", "a2", "b1"} {
			b.publish(t.Context(), agent.Event{ID: id, Key: id[:1]})
			synctest.Wait()
		}
		b.wg.Wait()
		if want := []string{"a1#1", "b1#1", "a1#2", "a1#3", "a2#1"}; !slices.Equal(got, want) {
			t.Errorf("handled %v, want %v", got, want)
		}
		if len(b.order.tails) != 0 {
			t.Errorf("%d keys are remembered", len(b.order.tails))
		}
	})
}

func TestNoMoreThanConcurrencyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, most := 0, 0
		var mu sync.Mutex
		b := newBench(Options{Concurrency: 4}, func(context.Context, agent.Event, int) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		})
		began := time.Now()
		for range 40 {
			b.publish(t.Context(), agent.Event{})
		}
		b.wg.Wait()
		if took := time.Since(began); most != 4 || took != 10*time.Second {
			t.Errorf("%d at once, %v in all", most, took)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 4 {
			b.Reserve(nil, nil)
		}
		if b.Reserve(ended.Done(), nil) || b.Reserve(nil, ended.Done()) {
			t.Error("a fifth slot")
		}
	})
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fail     func() error
		attempts int
		after    time.Duration
		code     agent.Code
	}{
		"error": {func() error { return agent.Errorf(agent.CodeToolFailed, "no") }, 3, 300 * time.Millisecond,
			agent.CodeToolFailed},
		"final": {func() error {
			return agent.Errorf(agent.CodeInvalidArgument, "no")
		}, 1, 0, agent.CodeInvalidArgument},
		"panic": {func() error { panic("no") }, 3, 300 * time.Millisecond, agent.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(Options{Concurrency: 1}, func(context.Context, agent.Event, int) error {
					return c.fail()
				})
				began := time.Now()
				b.publish(t.Context(), agent.Event{ID: "x"})
				b.wg.Wait()
				if len(b.dead) != 1 || b.dead[0].attempts != c.attempts || agent.CodeOf(b.dead[0].err) != c.code ||
					time.Since(began) != c.after {
					t.Errorf("%+v after %v", b.dead, time.Since(began))
				}
			})
		})
	}
}

// What is stopped is dead, and Wait returns once nothing is in hand.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBench(Options{Concurrency: 4}, func(ctx context.Context, p agent.Event, _ int) error {
			if p.ID != "first" {
				t.Errorf("%s is tried after the end", p.ID)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		b.publish(ctx, agent.Event{ID: "first", Key: "k"})
		b.publish(ctx, agent.Event{ID: "second", Key: "k"})
		b.Reserve(nil, nil)
		b.Drop(b.Accept(agent.Event{ID: "dropped"}), errors.New("too late"))
		soon, over := context.WithTimeout(t.Context(), time.Second)
		defer over()
		if err := b.Wait(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while an event is handled, Wait gave %v", err)
		}
		cancel()
		if err := b.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		var ids []string
		for _, d := range b.dead {
			ids = append(ids, fmt.Sprintf("%s#%d", d.id, d.attempts))
		}
		if want := []string{"dropped#0", "first#1", "second#1"}; !slices.Equal(ids, want) {
			t.Errorf("dead: %v, want %v", ids, want)
		}
	})
}

func TestCallAndBack(t *testing.T) {
	p := agent.Event{ID: "1", Topic: "a.b", Source: "x", Key: "k", Payload: []byte(`{"n":1}`),
		Meta: map[string]string{"traceparent": "y"}}
	c := Call("editor", p, 2)
	if c.Op != agent.OpEvent || c.Agent != "editor" || c.Attempt != 2 {
		t.Errorf("%+v", c)
	}
	if got := Event(c); fmt.Sprint(got) != fmt.Sprint(p) {
		t.Errorf("%+v, want %+v", got, p)
	}
}
