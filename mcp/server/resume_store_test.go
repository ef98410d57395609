package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

var _ sdk.EventStore = (*eventStore)(nil)

const anAnswer = `{"jsonrpc":"2.0","id":1,"result":{}}`

// kept is what a store has of a stream after an event.
func kept(s *eventStore, session, stream string, after int) (out []string, err error) {
	for data, err := range s.After(context.Background(), session, stream, after) {
		if err != nil {
			return nil, err
		}
		out = append(out, string(data))
	}
	return out, nil
}

func add(t *testing.T, s *eventStore, session, stream string, events ...string) {
	t.Helper()
	for _, e := range events {
		if err := s.Append(t.Context(), session, stream, []byte(e)); err != nil {
			t.Fatal(err)
		}
	}
}

func open1(t *testing.T, s *eventStore, session string, streams ...string) {
	t.Helper()
	for _, stream := range append([]string{""}, streams...) {
		if err := s.Open(t.Context(), session, stream); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEventStoreReplays(t *testing.T) {
	s := newEventStore(1 << 20)
	open1(t, s, "a", "x", "y")
	add(t, s, "a", "x", "", "one", "two")
	add(t, s, "a", "y", "other")
	for after, want := range map[int]string{-1: "[ one two]", 0: "[one two]", 1: "[two]", 2: "[]"} {
		if got, err := kept(s, "a", "x", after); fmt.Sprint(got) != want || err != nil {
			t.Errorf("after %d: %q, %v", after, got, err)
		}
	}
	for _, c := range []struct {
		session, stream string
		after           int
	}{{"a", "x", 3}, {"a", "z", 0}, {"b", "x", 0}, {"a", "", 0}} {
		if at, err := s.from(c.session, c.stream, c.after); err == nil {
			t.Errorf("%+v: goes on after %d", c, at)
		}
	}
	if err := s.Append(t.Context(), "b", "x", nil); err == nil {
		t.Error("an event of a session that is not open")
	}
}

// TestEventStoreHasBounds floods it from one session, beside one that sends little.
func TestEventStoreHasBounds(t *testing.T) {
	const size = 64 << 10
	s := newEventStore(size)
	open1(t, s, "quiet", "q")
	add(t, s, "quiet", "q", "first", anAnswer)
	check := func() {
		t.Helper()
		sum := 0
		for id, k := range s.sessions {
			if k.size > size/sessionsShare {
				t.Fatalf("session %s has %d bytes", id, k.size)
			}
			own, streams := 0, 0
			for _, st := range k.streams {
				streams++
				for _, e := range st.events {
					own += len(e) + eventCost
				}
			}
			if own != k.size || streams > len(k.order)+2 {
				t.Fatalf("session %s counts %d bytes and has %d, in %d streams", id, k.size, own, streams)
			}
			sum += own
		}
		if sum != s.size || sum > size {
			t.Fatalf("%d bytes, %d are counted", sum, s.size)
		}
	}
	open1(t, s, "loud", "long") // a call that still runs
	add(t, s, "loud", "long", "begun")
	for i := range 2000 {
		stream := fmt.Sprint("s", i)
		open1(t, s, "loud", stream)
		add(t, s, "loud", stream, "", strings.Repeat("n", i), anAnswer)
		check()
	}
	if got, err := kept(s, "quiet", "q", -1); len(got) != 2 || err != nil {
		t.Errorf("the flood took %v, %v of another session", got, err)
	}
	if _, err := s.from("loud", "s0", 0); err == nil {
		t.Error("an answer of long ago is still there")
	}
	// The notices of a call that still runs can be had again, from where they are kept.
	add(t, s, "loud", "long", "more")
	if at, err := s.from("loud", "long", 0); at != 0 || err != nil {
		t.Error(at, err)
	}
	if got, err := kept(s, "loud", "long", 0); fmt.Sprint(got) != "[more]" || err != nil {
		t.Error(got, err)
	}
	add(t, s, "loud", "long", strings.Repeat("x", size)) // too large for it
	check()
	if at, err := s.from("loud", "long", 0); at != 2 || err != nil {
		t.Errorf("goes on after %d: %v", at, err)
	}
	// Many floods: those that keep little keep it.
	for i := range 40 {
		id := fmt.Sprint("flood", i)
		open1(t, s, id, "x")
		for range 100 {
			add(t, s, id, "x", strings.Repeat("y", 300))
		}
		check()
	}
	if got, err := kept(s, "quiet", "q", -1); len(got) != 2 || err != nil {
		t.Errorf("the floods took %v, %v of another session", got, err)
	}
	for id := range s.sessions {
		if err := s.SessionClosed(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if s.size != 0 || len(s.sessions) != 0 || len(s.largest) != 0 {
		t.Errorf("%d bytes of %d sessions are left", s.size, len(s.sessions))
	}
}
