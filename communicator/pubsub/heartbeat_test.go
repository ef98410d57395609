package pubsub

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/testkit"
)

// far is a broker between processes: it can lose what is sent to some subjects, and reports later
// that a subject has no subscribers.
type far struct {
	*Memory
	mu   sync.Mutex
	lose func(topic string, m *message.Message) bool
	lost map[int]func(error)
}

func newFar(t *testing.T) *far {
	f := &far{Memory: NewMemory(MemoryOptions{}), lost: map[int]func(error){}}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func (f *far) losing(lose func(topic string, m *message.Message) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = lose
}

func (f *far) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		f.mu.Lock()
		lost := f.lose != nil && f.lose(topic, m)
		f.mu.Unlock()
		if lost {
			continue
		}
		if err := f.Memory.Publish(topic, m); err != nil && !errors.Is(err, ErrNoSubscribers) {
			return err
		}
	}
	return nil
}

func (f *far) OnLost(fn func(error)) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := len(f.lost)
	f.lost[id] = fn
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.lost, id)
	}
}

func (f *far) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fn := range f.lost {
		fn(errors.New("unplugged"))
	}
}

func (f *far) Requests(noSubscribers func(string)) (func(topic, token string, m *message.Message) error,
	func() error, error) {
	return func(topic, token string, m *message.Message) error {
		if len(f.topics.groups(topic)) == 0 {
			noSubscribers(token)
			return nil
		}
		return f.Publish(topic, m)
	}, func() error { return nil }, nil
}

var hang = &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "hang"}

// hanging is a pair with one call that goes on until its context ends.
func hanging(t *testing.T, f *far) (server, client *Communicator, ended chan struct{}, answer chan error) {
	t.Helper()
	server, client = process(t, f, Options{}), process(t, f, Options{})
	began, ended, answer := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	serve(t, server, service{"callee", func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}})
	p := dial(t, client, "callee")
	go func() {
		_, err := p.Call(context.Background(), hang)
		answer <- err
	}()
	testkit.Receive(t, began)
	return server, client, ended, answer
}

func TestHeartbeatsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(t)
		beats := make(chan struct{}, 100)
		f.losing(func(_ string, m *message.Message) bool {
			if m.Metadata["kind"] == bus.KindHeartbeat {
				beats <- struct{}{}
			}
			return false
		})
		_, client, _, answer := hanging(t, f)
		for range 5 { // longer than the silence that ends a call
			testkit.Receive(t, beats)
		}
		if len(answer) > 0 {
			t.Fatal(<-answer)
		}
		f.losing(func(topic string, _ *message.Message) bool { return topic == client.inbox })
		if e := agent.AsError(testkit.Receive(t, answer)); e == nil || e.Code != agent.CodeOutcomeUnknown ||
			e.NotExecuted {
			t.Error(e)
		}
	})
}

// A call that nobody waits for is cancelled: by the caller's process, or through the broker when
// that is gone.
func TestCallsWithoutACallerAreCancelled(t *testing.T) {
	t.Run("forgotten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFar(t)
			_, _, ended, answer := hanging(t, f)
			cancels := false
			f.losing(func(topic string, _ *message.Message) bool { // the first
				first := strings.Contains(topic, ".control.") && !cancels
				cancels = cancels || first
				return first
			})
			f.drop()
			if e := agent.AsError(testkit.Receive(t, answer)); e == nil || e.Code != agent.CodeOutcomeUnknown ||
				e.NotExecuted {
				t.Error(e)
			}
			testkit.Receive(t, ended)
		})
	})
	t.Run("gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFar(t)
			_, client, ended, answer := hanging(t, f)
			f.losing(func(topic string, _ *message.Message) bool { return strings.Contains(topic, ".control.") })
			client.mu.Lock()
			stop := client.stopInbox
			client.stopInbox = func() error { return nil }
			client.mu.Unlock()
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			testkit.Receive(t, ended)
			if e := agent.AsError(testkit.Receive(t, answer)); e == nil || e.Code != agent.CodeOutcomeUnknown {
				t.Error(e)
			}
		})
	})
}

func TestDialOfNobodyIsUnavailable(t *testing.T) {
	c := process(t, newFar(t), Options{})
	began := time.Now()
	_, err := c.Dial(context.Background(), "callee")
	if code, not := refusal(err); code != agent.CodeUnavailable || !not {
		t.Fatalf("%v after %v", err, time.Since(began))
	}
}

// The heartbeat clock stops while there is nothing to watch.
func TestHeartbeatsRestWithoutCalls(t *testing.T) {
	f := newFar(t)
	server := process(t, f, Options{})
	serve(t, server, service{"callee", func(context.Context, *agent.Call) (*agent.Result, error) {
		return &agent.Result{}, nil
	}})
	p := dial(t, server, "callee")
	for range 3 {
		for over := time.After(30 * time.Second); !server.clock.idle.Load(); {
			select {
			case <-time.After(time.Millisecond):
			case <-over:
				t.Fatal("it does not sleep")
			}
		}
		if _, err := p.Call(t.Context(), hang); err != nil {
			t.Fatal(err)
		}
	}
}
