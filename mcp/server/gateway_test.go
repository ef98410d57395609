package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
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
	dir := &fixture.Crew{}
	tool := func(name string) agent.Tool {
		return agent.NewTool(name, "does "+name, func(ctx context.Context, _ fixture.Word) (string, error) {
			return agent.CallFrom(ctx).Target(), nil
		})
	}
	dir.Add(t, "editor", agent.Capabilities{Tools: []agent.Tool{tool("review"), tool("polish")}})
	dir.Add(t, "notes", agent.Capabilities{Tools: []agent.Tool{tool("search"), tool("erase")}})
	dir.Add(t, "openmas", agent.Capabilities{Tools: []agent.Tool{tool("status"), tool("restart")}})
	s := newSite(t, dir, GatewayOptions{Expose: []string{"editor", "notes.search", "openmas"},
		Hide: []string{"openmas.restart"}})
	cs := s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	if got := toolNames(t, cs); got != "editor_review editor_polish notes_search openmas_status" {
		t.Error(got)
	}
	for _, name := range []string{"notes_erase", "notes.erase", "openmas_restart", "openmas.restart"} {
		if _, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: fixture.Word{}}); err == nil {
			t.Errorf("%s was called", name)
		}
	}
	for path, want := range map[string]string{"editor": "review polish", "notes": "search",
		"openmas": "status restart"} {
		for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
			one := s.join(t, way{transport: tr, version: codec.Version20251125, path: "/agents/" + path}, nil)
			if got := toolNames(t, one); got != want {
				t.Errorf("%s over %s: %s", path, tr, got)
			}
			first, _, _ := strings.Cut(want, " ")
			if res := fixture.CallTool(t, one, first, fixture.Word{}); fixture.TextOf(res) != path+"."+first {
				t.Errorf("%s: %s", path, fixture.MustJSON(t, res))
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
	inner := private.join(t, way{transport: mcp.SSE, version: codec.Version20251125}, nil)
	if res := fixture.CallTool(t, inner, "notes.erase", fixture.Word{}); fixture.TextOf(res) != "notes.erase" {
		t.Errorf("%s", fixture.MustJSON(t, res))
	}
	if res := fixture.CallTool(t, inner, "nobody.here", fixture.Word{}); res.Meta[codec.MetaCode] != "not_found" {
		t.Errorf("the directory has the last word: %s", fixture.MustJSON(t, res))
	}
}

func TestHealth(t *testing.T) {
	var reason atomic.Pointer[string]
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	dir.Add(t, "other", fixture.OtherCaps())
	s := newSite(t, dir, GatewayOptions{Project: "demo", Expose: []string{"echo"},
		Options: Options{Identify: tokens}, Ready: func() error {
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
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{Options: Options{Hosts: []string{"agents.example.org"},
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
	for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		t.Run(string(tr), func(t *testing.T) {
			dir := &fixture.Crew{}
			dir.Add(t, "other", fixture.OtherCaps())
			started, release := make(chan struct{}, calls), make(chan struct{})
			dir.Add(t, "slow", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("work", "works",
				func(ctx context.Context, w fixture.Word) (string, error) {
					started <- struct{}{}
					select {
					case <-ctx.Done():
						return "", ctx.Err()
					case <-release:
					}
					out, err := agent.Ask[map[string]any](ctx, "other.say", w)
					return fmt.Sprint(out["other"]), err
				})}})
			s := newSite(t, dir, GatewayOptions{})
			var sessions []*sdk.ClientSession
			for range 8 {
				sessions = append(sessions, s.join(t, way{transport: tr, version: codec.Version20251125}, nil))
			}
			var wg sync.WaitGroup
			var lost atomic.Int64
			for i := range calls {
				wg.Go(func() {
					want := fmt.Sprint("w", i)
					res, err := sessions[i%len(sessions)].CallTool(t.Context(),
						&sdk.CallToolParams{Name: "slow_work", Arguments: fixture.Word{Word: want}})
					if err != nil || res.IsError || fixture.TextOf(res) != want {
						lost.Add(1)
						t.Logf("lost: %v %s", err, fixture.MustJSON(t, res))
					}
				})
			}
			for range calls {
				fixture.Receive(t, "a call", started)
			}
			drained := make(chan error, 1)
			go func() { drained <- s.Drain(t.Context()) }()
			testkit.Eventually(t, "draining", func() bool { return s.ready() != nil })
			// New work on an old session is refused, and may be made elsewhere.
			res, err := sessions[0].CallTool(t.Context(),
				&sdk.CallToolParams{Name: "other_say", Arguments: fixture.Word{Word: "late"}})
			if err != nil || !res.IsError || res.Meta[codec.MetaCode] != "unavailable" ||
				res.Meta[codec.MetaNotExecuted] != true ||
				res.Meta[codec.MetaRetryAfter] == nil {
				t.Errorf("a late call: %s %v", fixture.MustJSON(t, res), err)
			}
			close(release)
			wg.Wait()
			if err := fixture.Receive(t, "the drain", drained); err != nil {
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

// sseClient is a client of HTTP+SSE that answers nothing by itself.
type sseClient struct {
	t        *testing.T
	lines    *bufio.Scanner
	endpoint string
	header   map[string]string // of its POSTs
}

func newSSEClient(t *testing.T, url string) *sseClient {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/sse", nil)
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return beginSSE(t, url, res.Body, nil)
}

// beginSSE is the client of a stream, after the handshake, with headers of its own in each POST.
func beginSSE(t *testing.T, url string, stream io.Reader, header map[string]string) *sseClient {
	t.Helper()
	c := &sseClient{t: t, lines: bufio.NewScanner(stream), header: header}
	c.lines.Buffer(nil, 4<<20)
	c.endpoint = url + c.event("session_id")
	c.post(initialize)
	c.event(`"result"`)
	c.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

// event reads the stream until an event has a text in it.
func (c *sseClient) event(having string) (data string) {
	c.t.Helper()
	for c.lines.Scan() {
		if d, ok := strings.CutPrefix(c.lines.Text(), "data: "); ok && strings.Contains(d, having) {
			return d
		}
	}
	c.t.Fatalf("the stream ended: %v", c.lines.Err())
	return ""
}

func (c *sseClient) post(body string) int {
	status, _, _ := send(c.t, "POST", c.endpoint, streamableHeaders(c.header), body)
	return status
}

// pong reads a ping and answers it after before.
func (c *sseClient) pong(before func()) {
	c.t.Helper()
	var ping struct{ ID json.RawMessage }
	if err := json.Unmarshal([]byte(c.event(`"ping"`)), &ping); err != nil {
		c.t.Fatal(err)
	}
	before()
	if got := c.post(`{"jsonrpc":"2.0","id":` + string(ping.ID) + `,"result":{}}`); got != http.StatusAccepted {
		c.t.Errorf("the answer to the ping: %d", got)
	}
}

// TestDrainPingsClients: a session ends when its client has answered a ping, and so has read all
// that came before it. New requests are refused by then, and the answer to the ping is not.
func TestDrainPingsClients(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{})
	c := newSSEClient(t, s.url)
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	c.pong(func() {
		if got := c.post(`{"jsonrpc":"2.0","id":7,"method":"tools/list"}`); got != http.StatusServiceUnavailable {
			t.Errorf("a new request: %d", got)
		}
	})
	if err := fixture.Receive(t, "the drain", drained); err != nil {
		t.Error(err)
	}
}

// TestDrainWaitsForBusyClients: a client that had a call in flight may take long to come to its
// answer, and one that waits for nothing holds nobody up.
func TestDrainWaitsForBusyClients(t *testing.T) {
	dir := &fixture.Crew{}
	started, release := make(chan struct{}), make(chan struct{})
	dir.Add(t, "slow", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("work", "works",
		func(context.Context, struct{}) (string, error) {
			close(started)
			<-release
			return "worked", nil
		})}})
	s := newSite(t, dir, GatewayOptions{})
	busy, idle := newSSEClient(t, s.url), newSSEClient(t, s.url)
	busy.post(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"slow_work","arguments":{}}}`)
	fixture.Receive(t, "the call", started)
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	testkit.Eventually(t, "draining", func() bool { return s.ready() != nil })
	close(release)
	busy.event(`worked`)
	busy.pong(func() {
		idle.event(`"ping"`)
		select {
		case err := <-drained:
			t.Fatalf("drained before the busy client has read: %v", err)
		case <-time.After(pingTime + pingTime/4):
		}
	})
	for range pingRounds - 1 {
		busy.pong(func() {})
	}
	if err := fixture.Receive(t, "the drain", drained); err != nil {
		t.Error(err)
	}
}

func TestDrainGivesUpAtItsDeadline(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	for _, w := range everyClient() {
		t.Run(w.String(), func(t *testing.T) {
			s := newSite(t, dir, GatewayOptions{})
			cs := s.join(t, w, nil)
			done := make(chan *sdk.CallToolResult, 1)
			go func() {
				res, err := cs.CallTool(t.Context(),
					&sdk.CallToolParams{Name: "echo_wait", Arguments: fixture.Word{Word: "w"}})
				if err != nil {
					t.Error(err)
				}
				done <- res
			}()
			fixture.Receive(t, "the call", p.Started)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			var cut *CutError
			if err := s.Drain(ctx); !errors.As(err, &cut) || cut.Calls != 1 {
				t.Error(err)
			}
			fixture.Receive(t, "the tool's end", p.Cancelled)
			res := fixture.Receive(t, "the client's answer", done)
			if said := fixture.MustJSON(t, res); res == nil || !res.IsError ||
				!strings.Contains(said, string(agent.CodeOutcomeUnknown)) ||
				!strings.Contains(said, "the system was stopped") {
				t.Errorf("the client was told %s", said)
			}
		})
	}
}

// A client that leaves in place of answering a ping is not waited for.
func TestAClientLeavesInADrain(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens}})
	r := s.rawSession(t, codec.Version20251125)
	listens, call := r.open("GET", ""), r.open("POST", walk(1))
	if got := call.next(); got != "progress 1" {
		t.Fatal(got)
	}
	began, drained := time.Now(), make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	testkit.Eventually(t, "the drain waits for the call", func() bool {
		return len(s.http.where(func(c *session) bool { return c.owed.Load() })) == 1
	})
	a.on <- true
	if got := fmt.Sprint(call.rest()); got != wholeWalk {
		t.Error(got)
	}
	if got := listens.next(); got != "ping" {
		t.Error(got)
	}
	if status, _, body := send(t, "DELETE", r.url, r.header, ""); status/100 != 2 {
		t.Error(status, body)
	}
	if err := fixture.Receive(t, "the end of the drain", drained); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= settleTime {
		t.Errorf("it took %v", took)
	}
}

// Calls that end because others are cut count as cut too.
func TestDrainCountsWhatItCuts(t *testing.T) {
	dir := &fixture.Crew{}
	started, dismissed := make(chan struct{}), make(chan struct{})
	dir.Add(t, "slow", agent.Capabilities{Tools: []agent.Tool{agent.NewTool("queue", "waits for its turn",
		func(context.Context, struct{}) (string, error) {
			close(started)
			<-dismissed
			return "", agent.Errorf(agent.CodeUnavailable, "the system was stopped")
		})}})
	ended := make(chan struct{})
	s := newSite(t, dir, GatewayOptions{OnCut: func() {
		close(dismissed)
		<-ended
	}})
	cs := s.join(t, way{transport: mcp.SSE, version: codec.Version20251125}, nil)
	go func() {
		defer close(ended)
		if _, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "slow_queue"}); err != nil {
			t.Error(err)
		}
	}()
	fixture.Receive(t, "the call", started)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var cut *CutError
	if err := s.Drain(ctx); !errors.As(err, &cut) || cut.Calls != 1 {
		t.Error(err)
	}
}

// A stop keeps to its time where clients answer no pings: a drain of 4 s waits 3.2 s for calls.
func TestTimesAfterCut(t *testing.T) {
	for waited, want := range map[time.Duration][2]time.Duration{
		0: {closeTimeout, 500 * time.Millisecond}, 3200 * time.Millisecond: {closeTimeout, 600 * time.Millisecond},
		20 * time.Second: {3750 * time.Millisecond, 3750 * time.Millisecond}} {
		if answers, pings := timesAfterCut(waited); answers != want[0] || pings != want[1] {
			t.Errorf("%v and %v after %v, want %v", answers, pings, waited, want)
		}
	}
}

func TestResourcesOfTheFirstAgentWin(t *testing.T) {
	dir := &fixture.Crew{}
	caps := func(text string) agent.Capabilities {
		return agent.Capabilities{Resources: []agent.Resource{agent.NewResource("doc://x", "x", "", "text/plain",
			func(context.Context) (string, error) {
				return text, nil
			})}}
	}
	dir.Add(t, "zoe", caps("zoe"))
	dir.Add(t, "amy", caps("amy"))
	s := newSite(t, dir, GatewayOptions{})
	cs := s.join(t, way{transport: mcp.SSE, version: codec.Version20251125}, nil)
	res, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "doc://x"})
	if err != nil || res.Contents[0].Text != "amy" {
		t.Errorf("%s %v", fixture.MustJSON(t, res), err)
	}
	if log := s.log.String(); !strings.Contains(log, "doc://x") || !strings.Contains(log, "agent=zoe") {
		t.Error(log)
	}
}
