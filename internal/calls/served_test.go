package calls

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/openmas/openmas/agent"
)

type testBinding struct {
	Gate
	name string
	of   *Served[*testBinding]
}

func (b *testBinding) Close(ctx context.Context) error {
	b.Shut()
	defer b.of.Remove(b.name, b)
	return b.Wait(ctx)
}

func TestServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Served[*testBinding]
		bind := func(name string) *testBinding { return &testBinding{name: name, of: &s} }
		add := func(b *testBinding, want agent.Code) {
			t.Helper()
			if err := s.Add(t.Context(), b.name, b); agent.CodeOf(err) != want {
				t.Errorf("%q is added: %v, want %q", b.name, err, want)
			}
		}
		first, second := bind("one"), bind("one")
		add(first, "")
		add(second, agent.CodeInvalidArgument)
		add(bind("No Name"), agent.CodeInvalidArgument)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Add(gone, "three", bind("three")); agent.CodeOf(err) != agent.CodeCanceled {
			t.Errorf("added with a context that has ended: %v", err)
		}
		s.Remove("one", second) // not the one that has the name
		if b, ok, closed := s.Find("one"); b != first || !ok || closed {
			t.Errorf("found %v, %v, closed %v", b, ok, closed)
		}
		if err := first.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, ok, _ := s.Find("one"); ok {
			t.Error("it is found after its end")
		}
		add(second, "")

		// All refuse calls before the first has ended; an error of one hides none of another.
		other := bind("two")
		add(other, "")
		second.Enter()
		other.Enter()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Close(ctx) }()
		synctest.Wait()
		if second.Enter() || other.Enter() {
			t.Error("a call is taken while the communicator closes")
		}
		stop()
		if err := <-ended; err == nil || strings.Count(err.Error(), "1 calls still in flight") != 2 {
			t.Errorf("closed with two calls in flight: %v", err)
		}
		add(bind("four"), agent.CodeUnavailable)
		if _, ok, closed := s.Find("four"); ok || !closed {
			t.Error("it is open after Close")
		}
	})
}

// spoken is an agent whose calls end with their context.
type spoken struct{ began chan struct{} }

func (spoken) Info() agent.Info { return agent.Info{Name: "one"} }

func (s spoken) Call(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
	close(s.began)
	<-ctx.Done()
	return nil, ctx.Err()
}

// A Binding outlives the context of Bind. Its Close waits for the calls in flight, ends them when
// its own context does, and frees the name.
func TestBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Served[*Binding]
		bound, cancel := context.WithCancel(t.Context())
		one := spoken{make(chan struct{})}
		b, err := Bind(bound, &s, one)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := Bind(bound, &s, one); agent.CodeOf(err) != agent.CodeCanceled {
			t.Error(err)
		}
		if _, err := Bind(t.Context(), &s, one); agent.CodeOf(err) != agent.CodeInvalidArgument {
			t.Error(err)
		}
		answer := make(chan error, 1)
		call := &agent.Call{Agent: "one", Name: "x"}
		go func() {
			_, err := b.Call(t.Context(), call)
			answer <- err
		}()
		<-one.began
		closing, end := context.WithCancel(t.Context())
		closed := make(chan error, 1)
		go func() { closed <- b.Close(closing) }()
		synctest.Wait()
		if _, err := b.Call(t.Context(), call); agent.CodeOf(err) != agent.CodeUnavailable {
			t.Error(err)
		}
		select {
		case err := <-answer:
			t.Fatal("the call in flight was cut:", err)
		default:
		}
		end()
		if err := <-closed; err == nil {
			t.Error("it has not waited")
		}
		if err := <-answer; err == nil {
			t.Error("the call was not cut")
		}
		if _, ok, _ := s.Find("one"); ok {
			t.Error("the name is taken still")
		}
	})
}
