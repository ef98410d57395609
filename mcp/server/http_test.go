package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

func streamableHeaders(more map[string]string) map[string]string {
	h := map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
	maps.Copy(h, more)
	return h
}

// TestASessionBelongsToWhoOpenedIt steals the session of another, on both transports.
func TestASessionBelongsToWhoOpenedIt(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens}})
	t.Run("streamable", func(t *testing.T) {
		status, h, body := send(t, "POST", s.url+"/mcp",
			streamableHeaders(map[string]string{"Authorization": "Bearer ann"}), initialize)
		sid := h.Get(codec.SessionHeader)
		if status != 200 || sid == "" {
			t.Fatal(status, body)
		}
		ping := `{"jsonrpc":"2.0","id":2,"method":"ping"}`
		for who, want := range map[string]int{"Bearer ann": 200, "Bearer bob": 403, "Bearer !ann": 403, "": 401} {
			if got, _, _ := send(t, "POST", s.url+"/mcp",
				streamableHeaders(map[string]string{"Authorization": who, codec.SessionHeader: sid}),
				ping); got != want {
				t.Errorf("%q: %d, want %d", who, got, want)
			}
		}
		for _, method := range []string{"GET", "DELETE"} {
			if got, _, _ := send(t, method, s.url+"/mcp",
				streamableHeaders(map[string]string{"Authorization": "Bearer bob", codec.SessionHeader: sid}),
				""); got != 403 {
				t.Errorf("%s: %d", method, got)
			}
		}
		ann := streamableHeaders(map[string]string{"Authorization": "Bearer ann", codec.SessionHeader: sid})
		if got, _, _ := send(t, "POST", s.url+"/agents/echo/mcp", ann, ping); got != 404 {
			t.Errorf("on another endpoint: %d", got)
		}
		if got, _, _ := send(t, "DELETE", s.url+"/mcp", ann, ""); got != 204 {
			t.Errorf("DELETE: %d", got)
		}
		if got, _, _ := send(t, "POST", s.url+"/mcp", ann, ping); got != 404 {
			t.Errorf("after DELETE: %d", got)
		}
	})
	t.Run("sse", func(t *testing.T) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/sse", nil)
		r.Header.Set("Authorization", "Bearer ann")
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		res, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		buf := make([]byte, 200)
		n, err := res.Body.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		_, endpoint, ok := strings.Cut(strings.TrimSpace(string(buf[:n])), "data: ")
		if !ok || !strings.HasPrefix(endpoint, "/messages/?session_id=") {
			t.Fatalf("%q", buf[:n])
		}
		for who, want := range map[string]int{"Bearer ann": 202, "Bearer bob": 403, "Bearer !ann": 403, "": 401} {
			if got, _, _ := send(t, "POST", s.url+endpoint,
				map[string]string{"Authorization": who, "Content-Type": "application/json"}, initialize); got != want {
				t.Errorf("%q: %d, want %d", who, got, want)
			}
		}
	})
	if n := len(s.Sessions()); n != 1 {
		testkit.Eventually(t, "sessions end", func() bool { return len(s.Sessions()) == 0 })
	}
}

func TestSessionsBeyondTheLimitAreRefused(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{Options: Options{Limits: Limits{Sessions: 2}}})
	one, two := s.join(t, way{transport: mcp.SSE, version: codec.Version20251125}, nil),
		s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	for _, path := range []string{"/sse", "/mcp"} {
		method := map[string]string{"/sse": "GET", "/mcp": "POST"}[path]
		if status, h, body := send(t, method, s.url+path, streamableHeaders(nil), initialize); status != 503 ||
			h.Get("Retry-After") == "" || !strings.Contains(body, "too many sessions") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, cs := range []*sdk.ClientSession{one, two} {
		if res := fixture.CallTool(t, cs, "echo_say", fixture.Word{Word: "w"}); res.IsError {
			t.Errorf("%s", fixture.MustJSON(t, res))
		}
	}
	_ = two.Close()
	testkit.Eventually(t, "a place is free", func() bool { return len(s.Sessions()) == 1 })
	s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	// A request that opens no session leaves none behind.
	if status, _, _ := send(t, "POST", s.url+"/mcp", streamableHeaders(nil),
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`); status != 503 {
		t.Errorf("%d", status)
	}
}

func TestStreamableSessionsEndBetweenCalls(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	for name, limits := range map[string]Limits{"lifetime": {Lifetime: 50 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, dir, GatewayOptions{Options: Options{Limits: limits}})
			var with map[string]string
			var answer chan string
			// On a busy machine, the session is over before its first call comes.
			testkit.Eventually(t, "a call comes in time", func() bool {
				status, h, _ := send(t, "POST", s.url+"/mcp", streamableHeaders(nil), initialize)
				if status != 200 {
					t.Fatal(status)
				}
				with = streamableHeaders(map[string]string{codec.SessionHeader: h.Get(codec.SessionHeader)})
				mine := make(chan string, 1)
				go func() {
					_, _, body := send(t, "POST", s.url+"/mcp", with, `{"jsonrpc":"2.0","id":2,"method":"tools/call",`+
						`"params":{"name":"echo_wait","arguments":{"word":"w"}}}`)
					mine <- body
				}()
				select {
				case <-p.Started:
					answer = mine
					return true
				case <-mine:
					return false
				}
			})
			// Well past the limit: the session must not end in the middle of its call.
			testkit.Eventually(t, "the limit is over", func() bool {
				return time.Since(s.Sessions()[0].Opened) > 150*time.Millisecond
			})
			p.Release <- struct{}{}
			if body := fixture.Receive(t, "the answer", answer); !strings.Contains(body, `"text":"w"`) {
				t.Error(body)
			}
			testkit.Eventually(t, "the session ends", func() bool { return len(s.Sessions()) == 0 })
			if status, _, _ := send(t, "POST", s.url+"/mcp", with,
				`{"jsonrpc":"2.0","id":3,"method":"ping"}`); status != 404 {
				t.Errorf("%d", status)
			}
			if !strings.Contains(s.log.String(), "session ended") {
				t.Error("the log does not tell")
			}
		})
	}
}

// A request that opens no session leaves none behind: however many there are, clients find a place.
func TestRequestsWithoutASessionLeaveNone(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{Options: Options{Limits: Limits{Sessions: 1}}})
	for _, body := range []string{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1}`, `nonsense`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":7}`} {
		if status, _, _ := send(t, "POST", s.url+"/mcp", streamableHeaders(nil), body); len(s.Sessions()) != 0 {
			t.Errorf("%s: %d, and a session is left", body, status)
		}
	}
	for _, method := range []string{"tools/call", "tools/list", "resources/read"} {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":%q,"params":{}}`, method)
		status, _, said := send(t, "POST", s.url+"/mcp", streamableHeaders(nil), body)
		if status != 400 || !strings.Contains(said, `"id":7`) || !strings.Contains(said, "Mcp-Session-Id") {
			t.Errorf("%s: %d %s, want 400 and the header that is missing", method, status, said)
		}
	}
	s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
}

// Tools see the headers of their client's own making, and nothing that could be a credential.
func TestTheHeadersThatToolsSee(t *testing.T) {
	h := http.Header{}
	for k, v := range map[string]string{"User-Agent": "tester/7", "X-Shift": "night",
		"X-Long":     strings.Repeat("x", 1024),
		"X-Too-Long": strings.Repeat("x", 1025), "X-Api-Key": "1", "X-Auth-User": "2", "X-Amz-Security-Token": "3",
		"X-Client-Secret": "4", "Authorization": "5", "Cookie": "6", "Accept": "7"} {
		h.Set(k, v)
	}
	got := headerMeta(h)
	if want := map[string]string{"user-agent": "tester/7", "x-shift": "night",
		"x-long": strings.Repeat("x", 1024)}; !maps.Equal(got, want) {
		t.Errorf("%.200q", fmt.Sprint(got))
	}
	for n := range 40 {
		h.Set(fmt.Sprint("X-", n), "y")
	}
	if n := len(headerMeta(h)); n != 32 {
		t.Errorf("%d headers", n)
	}
}

// A session that is not used ends only when another needs its place: the one that was used last
// stays, and so does one whose client listens.
func TestIdleSessionsMakeRoom(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{Options: Options{Limits: Limits{Sessions: 3, Idle: time.Millisecond}}})
	listens := s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	testkit.Eventually(t, "the client listens", func() bool {
		all := s.http.where(func(*session) bool { return true })
		return len(all) == 1 && all[0].use.listening()
	})
	first, second := s.dial(t, "", codec.Version20251125), s.dial(t, "", codec.Version20251125)
	idle := func() bool {
		return len(s.http.where(func(c *session) bool {
			at, ok := s.http.unused(c)
			return ok && !at.listened && time.Since(at.since) > time.Millisecond
		})) > 0
	}
	testkit.Eventually(t, "one is idle", idle)
	if got := first.ask(t, "ping", "{}"); !strings.Contains(got, `"result"`) {
		t.Fatalf("it ended though nobody needs its place: %s", got)
	}
	testkit.Eventually(t, "the other is idle", idle)
	third := s.dial(t, "", codec.Version20251125)
	if status, _, _ := send(t, "POST", second.url, second.header,
		`{"jsonrpc":"2.0","id":3,"method":"ping"}`); status != 404 {
		t.Errorf("the session that was idle longest: %d", status)
	}
	for _, c := range []*rawClient{first, third} {
		if got := c.ask(t, "ping", "{}"); !strings.Contains(got, `"result"`) {
			t.Error(got)
		}
	}
	if err := listens.Ping(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if log := s.log.String(); !strings.Contains(log, "idle, and 3 sessions are open, the limit") {
		t.Error(log)
	}
}

func TestDeleteCancelsTheCallsOfItsSession(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	s := newSite(t, dir, GatewayOptions{})
	_, h, _ := send(t, "POST", s.url+"/mcp", streamableHeaders(nil), initialize)
	with := streamableHeaders(map[string]string{codec.SessionHeader: h.Get(codec.SessionHeader)})
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(t, "POST", s.url+"/mcp", with,
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo_wait","arguments":{"word":"w"}}}`)
	}()
	fixture.Receive(t, "the call", p.Started)
	if status, _, _ := send(t, "DELETE", s.url+"/mcp", with, ""); status != 204 {
		t.Error(status)
	}
	fixture.Receive(t, "the tool's end", p.Cancelled)
	fixture.Receive(t, "the answer", done)
}

func TestABodyOverTheLimitCostsItsRequestOnly(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{Options: Options{Limits: Limits{MaxBody: 1000}}})
	_, h, _ := send(t, "POST", s.url+"/mcp", streamableHeaders(nil), initialize)
	with := streamableHeaders(map[string]string{codec.SessionHeader: h.Get(codec.SessionHeader)})
	if status, _, _ := send(t, "POST", s.url+"/mcp", with, strings.Repeat(" ", 1001)); status != 413 {
		t.Error(status)
	}
	if status, _, body := send(t, "POST", s.url+"/mcp", with,
		`{"jsonrpc":"2.0","id":2,"method":"ping"}`); status != 200 {
		t.Error(status, body)
	}
}

func TestSessionsCanBeListed(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{})
	s.join(t, way{transport: mcp.SSE, version: codec.Version20241105}, nil)
	s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125, path: "/agents/echo"}, nil)
	got := s.Sessions()
	if len(got) != 2 || got[0].Transport != mcp.SSE || got[0].Version != codec.Version20241105 || got[0].Agent != "" ||
		got[1].Transport != mcp.Streamable || got[1].Agent != "echo" || got[1].Client != "tester 7" {
		t.Errorf("%+v", got)
	}
	ids := []string{got[0].ID, got[1].ID}
	slices.Sort(ids)
	if ids[0] == "" || ids[0] == ids[1] {
		t.Error(ids)
	}
	b, err := json.Marshal(got)
	if err != nil || strings.Contains(string(b), "session_id") {
		t.Errorf("%s %v", b, err)
	}
}
