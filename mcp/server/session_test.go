package server

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
)

// A session has so many subscriptions. What it is subscribed to already counts once, and what it
// gives up not at all.
func TestOnlySoManySubscriptions(t *testing.T) {
	var s subscriptions
	uri := func(n int) string { return fmt.Sprint("x://", n) }
	for range 2 {
		for n := range maxSubscriptions {
			if err := s.add(uri(n)); err != nil {
				t.Fatal(n, err)
			}
		}
	}
	if err := s.add("x://more"); agent.CodeOf(err) != agent.CodeResourceExhausted || !agent.AsError(err).NotExecuted {
		t.Error(err)
	}
	s.remove(uri(0))
	if err := s.add("x://more"); err != nil {
		t.Error(err)
	}
}

// A session that has ended begins no call, and ends those that run.
func TestASessionThatHasEndedBeginsNoCall(t *testing.T) {
	c := newSession(t.Context(), &endpoint{}, mcp.Streamable, Identity{}, nil)
	defer c.cancel()
	running, late := &fastCall{session: c, id: "1"}, &fastCall{session: c, id: "2"}
	if err := running.start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	defer running.cancel()
	if err := (&fastCall{session: c, id: "1"}).start(t.Context(), nil); !errors.Is(err, errDuplicateID) {
		t.Errorf("a second request of the same id: %v", err)
	}
	c.fast.cancelAll()
	if running.ctx.Err() == nil {
		t.Error("a call outlives its session")
	}
	if err := late.start(t.Context(), nil); !errors.Is(err, errSessionEnded) {
		t.Errorf("a call after the end: %v", err)
	}
}

// The state of a call belongs to who made it and to all that it says.
func TestWhatAStateIsBoundTo(t *testing.T) {
	id := Identity{Identity: agent.Identity{Agent: "a", User: "u"}}
	r := request{op: agent.OpTool, name: "n", input: []byte("i")}
	same := (&endpoint{}).boundTo(id, r)
	if !bytes.Equal(same, (&endpoint{}).boundTo(id, r)) {
		t.Error("the same call has another state")
	}
	for name, change := range map[string]func(*Identity, *request){
		"agent":   func(id *Identity, _ *request) { id.Agent = "b" },
		"user":    func(id *Identity, _ *request) { id.User = "v" },
		"trusted": func(id *Identity, _ *request) { id.Trusted = true },
		"op":      func(_ *Identity, r *request) { r.op = agent.OpPrompt },
		"name":    func(_ *Identity, r *request) { r.name = "m" },
		"input":   func(_ *Identity, r *request) { r.input = []byte("j") },
		"a part that moves": func(_ *Identity, r *request) {
			r.name, r.input = "", []byte("ni")
		},
	} {
		id, r := id, r
		if change(&id, &r); bytes.Equal(same, (&endpoint{}).boundTo(id, r)) {
			t.Errorf("%s: another call has the same state", name)
		}
	}
}
