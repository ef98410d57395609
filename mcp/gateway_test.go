package mcp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

// send makes a plain HTTP request.
func send(t *testing.T, method, url string, header map[string]string, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("Content-Type") == "text/event-stream" && method == http.MethodGet {
		return res.StatusCode, res.Header, ""
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func toolNames(t *testing.T, cs *sdk.ClientSession) string {
	t.Helper()
	res, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, t := range res.Tools {
		out = append(out, t.Name)
	}
	return strings.Join(out, " ")
}

func TestTheGatewayOffersWhatIsExposed(t *testing.T) {
	dir := &crew{}
	tool := func(name string) agent.Tool {
		return agent.NewTool(name, "does "+name, func(ctx context.Context, _ word) (string, error) {
			return agent.CallFrom(ctx).Target(), nil
		})
	}
	dir.add(t, "editor", agent.Capabilities{Tools: []agent.Tool{tool("review"), tool("polish")}})
	dir.add(t, "notes", agent.Capabilities{Tools: []agent.Tool{tool("search"), tool("erase")}})
	dir.add(t, "openmas", agent.Capabilities{Tools: []agent.Tool{tool("status"), tool("restart")}})
	s := newSite(t, dir, GatewayOptions{Expose: []string{"editor", "notes.search", "openmas"},
		Hide: []string{"openmas.restart"}})
	cs := s.join(t, way{transport: Streamable, version: eraLast}, nil)
	if got := toolNames(t, cs); got != "editor_polish editor_review notes_search openmas_status" {
		t.Error(got)
	}
	for _, name := range []string{"notes_erase", "notes.erase", "openmas_restart", "openmas.restart"} {
		if _, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: word{}}); err == nil {
			t.Errorf("%s was called", name)
		}
	}
	for path, want := range map[string]string{"editor": "polish review", "notes": "search",
		"openmas": "restart status"} {
		for _, tr := range []Transport{SSE, Streamable} {
			one := s.join(t, way{transport: tr, version: eraLast, path: "/agents/" + path}, nil)
			if got := toolNames(t, one); got != want {
				t.Errorf("%s over %s: %s", path, tr, got)
			}
			first, _, _ := strings.Cut(want, " ")
			if res := callTool(t, one, first, word{}); textOf(res) != path+"."+first {
				t.Errorf("%s: %s", path, mustJSON(t, res))
			}
		}
	}
	for _, path := range []string{"/agents/nobody/sse", "/agents/nobody/mcp", "/agents/", "/agents/editor/other",
		"/other"} {
		if status, _, _ := send(t, "GET", s.url+path, nil, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	private := newSite(t, dir, GatewayOptions{Private: true})
	inner := private.join(t, way{transport: SSE, version: eraLast}, nil)
	if res := callTool(t, inner, "notes.erase", word{}); textOf(res) != "notes.erase" {
		t.Errorf("%s", mustJSON(t, res))
	}
	if res := callTool(t, inner, "nobody.here", word{}); res.Meta[metaCode] != "not_found" {
		t.Errorf("the directory has the last word: %s", mustJSON(t, res))
	}
}

func TestHealth(t *testing.T) {
	var reason atomic.Pointer[string]
	dir := &crew{}
	dir.add(t, "echo", echoCaps(newProbe()))
	dir.add(t, "other", otherCaps())
	s := newSite(t, dir, GatewayOptions{Project: "demo", Expose: []string{"echo"},
		HostOptions: HostOptions{Identify: tokens}, Ready: func() error {
			if r := reason.Load(); r != nil {
				return fmt.Errorf("%s", *r)
			}
			return nil
		}})
	ann := map[string]string{"Authorization": "Bearer ann"}
	expect := func(path string, header map[string]string, status int, body string) {
		t.Helper()
		got, h, text := send(t, "GET", s.url+path, header, "")
		if got != status || strings.TrimSpace(text) != body || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, got, text)
		}
	}
	expect("/", ann, 200, `{"status":"ok","project":"demo","agents":["echo"]}`)
	expect("/", nil, 200, `{"status":"ok"}`)
	expect("/livez", nil, 200, `{"status":"ok"}`)
	expect("/readyz", nil, 200, `{"status":"ok"}`)
	why := "the broker is away"
	reason.Store(&why)
	expect("/readyz", nil, 503, `{"reason":"the broker is away","status":"not ready"}`)
	expect("/", nil, 200, `{"status":"the broker is away"}`)
	expect("/livez", nil, 200, `{"status":"ok"}`)
	reason.Store(nil)
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("/readyz", nil, 503, `{"reason":"draining","status":"not ready"}`)
	if status, h, _ := send(t, "GET", s.url+"/sse", ann, ""); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("a new session: %d", status)
	}
	if status, h, _ := send(t, "POST", s.url+"/mcp", ann,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("a new session: %d", status)
	}
}

func TestEveryPathIsGuarded(t *testing.T) {
	dir := &crew{}
	dir.add(t, "echo", echoCaps(newProbe()))
	s := newSite(t, dir, GatewayOptions{HostOptions: HostOptions{Hosts: []string{"agents.example.org"},
		Origins: []string{"https://app.example.org"}}})
	for _, path := range []string{"/", "/livez", "/readyz", "/sse", "/messages/?session_id=x", "/mcp",
		"/agents/echo/sse", "/agents/echo/messages/?session_id=x", "/agents/echo/mcp"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			for name, h := range map[string]map[string]string{"host": {"Host": "evil.example.org"},
				"origin": {"Origin": "https://evil.example.org"}} {
				if status, _, _ := send(t, method, s.url+path, h, "{}"); status != http.StatusForbidden {
					t.Errorf("%s %s with a foreign %s: %d", method, path, name, status)
				}
			}
		}
	}
	for _, h := range []map[string]string{{"Host": "agents.example.org"}, {"Origin": "https://app.example.org"},
		{"Origin": s.url}} {
		if status, _, _ := send(t, "GET", s.url+"/", h, ""); status != 200 {
			t.Errorf("%v: %d", h, status)
		}
	}
}

// TestDrainLosesNothing has 200 calls in flight, each of which makes a nested call, when the
// gateway is drained and its listener shut down.
func TestDrainLosesNothing(t *testing.T) {
	const calls = 200
	for _, tr := range []Transport{SSE, Streamable} {
		t.Run(string(tr), func(t *testing.T) {
			dir := &crew{}
			dir.add(t, "other", otherCaps())
			started := make(chan struct{}, calls)
			dir.add(t, "slow", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("work", "works",
				func(ctx context.Context, w word) (string, error) {
					started <- struct{}{}
					select {
					case <-ctx.Done():
						return "", ctx.Err()
					case <-time.After(300 * time.Millisecond):
					}
					out, err := agent.Ask[map[string]any](ctx, "other.say", w)
					return fmt.Sprint(out["other"]), err
				})}})
			s := newSite(t, dir, GatewayOptions{})
			var sessions []*sdk.ClientSession
			for range 8 {
				sessions = append(sessions, s.join(t, way{transport: tr, version: eraLast}, nil))
			}
			var wg sync.WaitGroup
			var lost atomic.Int64
			for i := range calls {
				wg.Go(func() {
					want := fmt.Sprint("w", i)
					res, err := sessions[i%len(sessions)].CallTool(t.Context(),
						&sdk.CallToolParams{Name: "slow_work", Arguments: word{want}})
					if err != nil || res.IsError || textOf(res) != want {
						lost.Add(1)
						t.Logf("lost: %v %s", err, mustJSON(t, res))
					}
				})
			}
			for range calls {
				receive(t, "a call", started)
			}
			drained := make(chan error, 1)
			go func() { drained <- s.Drain(t.Context()) }()
			testkit.Eventually(t, "draining", func() bool { return s.ready() != nil })
			// New work on an old session is refused, and may be made elsewhere.
			res, err := sessions[0].CallTool(t.Context(),
				&sdk.CallToolParams{Name: "other_say", Arguments: word{"late"}})
			if err != nil || !res.IsError || res.Meta[metaCode] != "unavailable" || res.Meta[metaNotExecuted] != true ||
				res.Meta[metaRetryAfter] == nil {
				t.Errorf("a late call: %s %v", mustJSON(t, res), err)
			}
			wg.Wait()
			if err := receive(t, "the drain", drained); err != nil {
				t.Error(err)
			}
			if n := lost.Load(); n > 0 {
				t.Errorf("%d of %d calls were lost", n, calls)
			}
			if n := len(s.Sessions()); n > 0 {
				testkit.Eventually(t, "sessions end", func() bool { return len(s.Sessions()) == 0 })
			}
		})
	}
}

func TestDrainGivesUpAtItsDeadline(t *testing.T) {
	p, dir := newProbe(), &crew{}
	dir.add(t, "echo", echoCaps(p))
	for _, tr := range []Transport{SSE, Streamable, Stdio} {
		t.Run(string(tr), func(t *testing.T) {
			s := newSite(t, dir, GatewayOptions{})
			cs := s.join(t, way{transport: tr, version: eraLast}, nil)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "echo_wait", Arguments: word{"w"}})
			}()
			receive(t, "the call", p.started)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := s.Drain(ctx); err == nil || !strings.Contains(err.Error(), "1 calls still in flight") {
				t.Error(err)
			}
			if tr == Stdio {
				p.release <- struct{}{} // its stream lingers for it
			} else {
				receive(t, "the tool's end", p.cancelled)
			}
			receive(t, "the client's end", done)
		})
	}
}

func TestResourcesOfTheFirstAgentWin(t *testing.T) {
	dir := &crew{}
	caps := func(text string) agent.Capabilities {
		return agent.Capabilities{Resources: []agent.Resource{agent.NewResource("doc://x", "x", "", "text/plain",
			func(context.Context) (string, error) {
				return text, nil
			})}}
	}
	dir.add(t, "zoe", caps("zoe"))
	dir.add(t, "amy", caps("amy"))
	s := newSite(t, dir, GatewayOptions{})
	cs := s.join(t, way{transport: SSE, version: eraLast}, nil)
	res, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "doc://x"})
	if err != nil || res.Contents[0].Text != "amy" {
		t.Errorf("%s %v", mustJSON(t, res), err)
	}
	if log := s.log.String(); !strings.Contains(log, "doc://x") || !strings.Contains(log, "left_out=zoe") {
		t.Error(log)
	}
}
