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
