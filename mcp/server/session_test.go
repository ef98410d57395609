package server

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
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
	same := (&endpoint{}).boundTo(id, &r)
	if !bytes.Equal(same, (&endpoint{}).boundTo(id, &r)) {
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
		if change(&id, &r); bytes.Equal(same, (&endpoint{}).boundTo(id, &r)) {
			t.Errorf("%s: another call has the same state", name)
		}
	}
}

// A client whose handshake has members of the wrong type is served.
func TestOddClientsAreServed(t *testing.T) {
	odd := strings.NewReplacer(`"version":"1"`, `"version":1.0`, `"capabilities":{}`,
		`"capabilities":{"roots":true,"sampling":[],"experimental":[]}`).Replace(initialize)
	for _, fast := range []bool{true, false} {
		s := newSite(t, answering("a", nil), GatewayOptions{Options: Options{NoFastPath: !fast}})
		if status, _, body := send(t, "POST", s.url+"/mcp", streamableHeaders(nil), odd); status != 200 ||
			!strings.Contains(body, `"protocolVersion"`) {
			t.Errorf("fast path %v: %d %s", fast, status, body)
		}
		if got := s.Sessions(); len(got) != 1 || got[0].Client != "raw 1.0" {
			t.Errorf("fast path %v: %+v", fast, got)
		}
		in, out, _ := lines(t, t.Context(), fixture.NewProbe(), Options{NoFastPath: !fast})
		say(t, in, odd)
		if got := fixture.Receive(t, "an answer", out); !strings.Contains(got, `"protocolVersion"`) {
			t.Errorf("stdio, fast path %v: %s", fast, got)
		}
	}
}

func TestUnknownLogLevelsAreRefused(t *testing.T) {
	s := newSite(t, answering("a", nil), GatewayOptions{})
	c := s.dial(t, "", codec.Version20251125)
	for level, want := range map[string]string{`"loud"`: `"code":-32602`, `""`: `"code":-32602`,
		`"alert"`: `"result"`} {
		if got := c.ask(t, "logging/setLevel", `{"level":`+level+`}`); !strings.Contains(got, want) {
			t.Errorf("%s: %s", level, got)
		}
	}
	if got := c.ask(t, "tools/list", `{"cursor":"none"}`); !strings.Contains(got, `"code":-32602`) {
		t.Errorf("a cursor of no list: %s", got)
	}
}

// A call that comes while its session ends did not run: the client is told that there is no such
// session, and may make it in another one.
func TestACallThatComesWhileItsSessionEnds(t *testing.T) {
	for _, off := range []bool{false, true} {
		p, dir := fixture.NewProbe(), &fixture.Crew{}
		dir.Add(t, "echo", fixture.EchoCaps(p))
		s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: off}})
		c := s.dial(t, "", codec.Version20251125)
		s.http.mu.Lock()
		for _, session := range s.http.byID { // as the end of its lifetime does
			session.use.mu.Lock()
			session.use.over = true
			session.use.mu.Unlock()
		}
		s.http.mu.Unlock()
		status, _, body := send(t, "POST", c.url, c.header,
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo_wait","arguments":{"word":"w"}}}`)
		if status != 404 || len(p.Started) != 0 {
			t.Errorf("off %v: %d %s, %d calls ran", off, status, body, len(p.Started))
		}
	}
}
