package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// heading is an agent with a tool that wants its argument in a header as well.
func heading() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.RawTool("where", "looks",
		json.RawMessage(`{"type":"object","properties":{"city":{"type":"string","x\u002dmcp-header":"City"}}}`),
		agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			return agent.TextResult(string(c.Input)), nil
		}))}}
}

// newestMeta is what a request of the newest era has to say, and what else it says.
func newestMeta(more string) string {
	return `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}` + more + `}`
}

const bareMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

type newestCase struct {
	params string            // of the tools/call
	header map[string]string // over HTTP, beside what belongs there; an empty one is left out
	sdk    bool              // it is not for the lane
}

func newestCases() map[string]newestCase {
	say := func(meta string) string { return `{"name":"echo_say","arguments":{"word":"w"},` + meta + `}` }
	tool := func(name, meta string) string { return `{"name":"` + name + `","arguments":{"word":"w"},` + meta + `}` }
	cases := map[string]newestCase{
		"plain":            {params: say(newestMeta(""))},
		"no client's name": {params: say(bareMeta)},
		"own keys": {params: say(
			newestMeta(`,"a/b":{"c":[1]},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","openmas/caller":"forged"`))},
		"no arguments":    {params: `{"name":"echo_say",` + newestMeta("") + `}`},
		"wrong arguments": {params: `{"name":"echo_say","arguments":{"word":7},` + newestMeta("") + `}`},
		"unknown":         {params: tool("echo_nothing", newestMeta(""))},
		"notices": {params: tool("echo_report",
			newestMeta(`,"progressToken":7,"io.modelcontextprotocol/logLevel":"info"`))},
		"more notices": {params: tool("echo_report",
			newestMeta(`,"progressToken":"p","io.modelcontextprotocol/logLevel":"debug"`))},
		"fewer notices": {params: tool("echo_report",
			newestMeta(`,"io.modelcontextprotocol/logLevel":"error"`))},
		"no notices":         {params: tool("echo_report", newestMeta(""))},
		"a question":         {params: tool("quiz_row", newestMeta(""))},
		"questions":          {params: tool("quiz_both", newestMeta(""))},
		"a question behind":  {params: tool("quiz_nested", newestMeta(""))},
		"a state of its own": {params: tool("echo_pending", newestMeta(""))},
		"nobody to ask":      {params: tool("quiz_row", bareMeta)},
		"nobody to ask, own": {params: tool("echo_pending", bareMeta)},
		"too late for answers": {params: `{"name":"quiz_row","arguments":{"word":"w"},"inputResponses":{},` +
			newestMeta("") + `}`, sdk: true},
		"a foreign state": {params: `{"name":"quiz_row","arguments":{"word":"w"},"requestState":"x",` +
			newestMeta("") + `}`, sdk: true},
		"a strange level": {params: tool("echo_report", newestMeta(`,"io.modelcontextprotocol/logLevel":"loud"`)),
			sdk: true},
		"a level that is none": {params: tool("echo_report", newestMeta(`,"io.modelcontextprotocol/logLevel":7`)),
			sdk: true},
		"a reserved key": {params: say(newestMeta(`,"io.modelcontextprotocol/other":1`)), sdk: true},
		"a member of later": {params: `{"name":"echo_say","arguments":{"word":"w"},"later":1,` + newestMeta("") +
			`}`, sdk: true},
		"no capabilities": {params: say(`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`),
			sdk: true},
		"null for capabilities": {params: say(`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":null}`), sdk: true},
		"a list for a name":     {params: say(`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":[],"io.modelcontextprotocol/clientCapabilities":{}}`), sdk: true},
		"null for a name":       {params: say(`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":null,"io.modelcontextprotocol/clientCapabilities":{}}`), sdk: true},
		"a later version":       {params: say(`"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01","io.modelcontextprotocol/clientCapabilities":{}}`), sdk: true},
	}
	for _, name := range []string{"plain", "blocks", "fail", "busy", "panic"} {
		cases["tool "+name] = newestCase{params: tool("echo_"+name, newestMeta(""))}
	}
	return cases
}

// headerCases are those that only HTTP has.
func headerCases() map[string]newestCase {
	say, where := `{"name":"echo_say","arguments":{"word":"w"},`+newestMeta("")+`}`,
		`{"name":"map_where","arguments":{"city":"Rome"},`+newestMeta("")+`}`
	return map[string]newestCase{
		"another method":     {say, map[string]string{methodHeader: "tools/list"}, true},
		"no method":          {say, map[string]string{methodHeader: ""}, true},
		"another name":       {say, map[string]string{nameHeader: "echo_plain"}, true},
		"no name":            {say, map[string]string{nameHeader: ""}, true},
		"another version":    {say, map[string]string{versionHeader: eraLast}, true},
		"no version":         {say, map[string]string{versionHeader: ""}, true},
		"a later version":    {say, map[string]string{versionHeader: "2027-01-01"}, true},
		"no version inside":  {`{"name":"echo_say","arguments":{"word":"w"}}`, nil, true},
		"another media type": {say, map[string]string{"Content-Type": "text/plain"}, true},
		"half an accept":     {say, map[string]string{"Accept": "application/json"}, true},
		"a resumption":       {say, map[string]string{"Last-Event-ID": "1"}, true},
		"a header":           {where, map[string]string{"Mcp-Param-City": "Rome"}, true},
		"no header":          {where, nil, true},
		"another header":     {where, map[string]string{"Mcp-Param-City": "Paris"}, true},
		"a session":          {say, map[string]string{sessionHeader: "none"}, false},
		"a charset":          {say, map[string]string{"Content-Type": "application/json; charset=utf-8"}, false},
	}
}

// conversation is all that a server says to a request: a status over HTTP, its notices, its answer.
type conversation struct {
	status int
	said   []any
}

// hear adds a message without what differs from server to server and from call to call.
func (c *conversation) hear(t *testing.T, raw []byte) (answered bool) {
	t.Helper()
	msg, ok := tree(t, raw).(map[string]any)
	if !ok {
		t.Fatalf("%s", raw)
	}
	if params, ok := msg["params"].(map[string]any); ok {
		delete(params, "_meta") // the call's id
	}
	if result, ok := msg["result"].(map[string]any); ok && result["requestState"] != nil {
		result["requestState"] = "sealed"
	}
	c.said = append(c.said, msg)
	return msg["id"] != nil
}

func (s *site) postNewest(t *testing.T, c newestCase) (out conversation) {
	t.Helper()
	var p struct{ Name string }
	if err := json.Unmarshal([]byte(c.params), &p); err != nil {
		t.Fatal(err)
	}
	h := map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		versionHeader: eraNewest, methodHeader: methodCall, nameHeader: p.Name}
	for k, v := range c.header {
		h[k] = v
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+c.params+`}`))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range h {
		if v != "" {
			r.Header.Set(k, v)
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out.status = resp.StatusCode
	switch media := resp.Header.Get("Content-Type"); media {
	case "text/event-stream":
		events := wire.NewEventReader(bytes.NewReader(body), 1<<20)
		for {
			_, data, err := events.Next()
			if err != nil {
				return out
			}
			if out.hear(t, data) {
				return out
			}
		}
	case "application/json":
		out.hear(t, body)
	default:
		out.said = append(out.said, string(body))
	}
	return out
}

// TestTheNewestEraSaysTheSameOnTheLane: whatever is asked, and however, the answers are those of
// the SDK, and those that are plain took the lane.
func TestTheNewestEraSaysTheSameOnTheLane(t *testing.T) {
	if noExpress {
		t.Skip("this test runs without the express lane in any case")
	}
	var runs atomic.Int64
	dir := &crew{}
	dir.add(t, "echo", echoCaps(newProbe()))
	dir.add(t, "quiz", quizzer(&runs))
	dir.add(t, "map", heading())
	on, off := newSite(t, dir, GatewayOptions{}),
		newSite(t, dir, GatewayOptions{HostOptions: HostOptions{NoExpress: true}})
	compare := func(t *testing.T, c newestCase, ask func(*site) conversation) {
		t.Helper()
		before := on.Express()
		got, want := ask(on), ask(off)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("on the lane\n%d %s\nbeside it\n%d %s", got.status, mustJSON(t, got.said), want.status,
				mustJSON(t, want.said))
		}
		if taken := on.Express() - before; taken == 1 == c.sdk {
			t.Errorf("%d calls took the lane: %s", taken, mustJSON(t, got.said))
		}
	}
	for name, c := range newestCases() {
		t.Run("http "+name, func(t *testing.T) {
			compare(t, c, func(s *site) conversation { return s.postNewest(t, c) })
		})
	}
	for name, c := range headerCases() {
		t.Run("header "+name, func(t *testing.T) {
			compare(t, c, func(s *site) conversation { return s.postNewest(t, c) })
		})
	}
	lines := map[*site]*lineClient{on: newLineClient(t, on), off: newLineClient(t, off)}
	for _, l := range lines { // the first request of a connection is the SDK's
		if got := l.ask(t, `"server/discover"`, `{`+newestMeta("")+`}`); len(got.said) != 1 {
			t.Fatalf("%+v", got)
		}
	}
	for name, c := range newestCases() {
		t.Run("stdio "+name, func(t *testing.T) {
			compare(t, c, func(s *site) conversation { return lines[s].ask(t, `"tools/call"`, c.params) })
		})
	}
	if off.Express() != 0 {
		t.Errorf("%d calls took the lane, which is off", off.Express())
	}
}

// lineClient writes requests on stdio as they come.
type lineClient struct {
	w    io.Writer
	r    *bufio.Scanner
	last int
}

func newLineClient(t *testing.T, s *site) *lineClient {
	tr := sdkPipes(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		return s.ServeStdio(ctx, in, out)
	})
	l := &lineClient{w: tr.Writer, r: bufio.NewScanner(tr.Reader)}
	l.r.Buffer(nil, 1<<20)
	return l
}

func (l *lineClient) send(t *testing.T, method, params string) int {
	t.Helper()
	l.last++
	if _, err := fmt.Fprintf(l.w, `{"jsonrpc":"2.0","id":%d,"method":%s,"params":%s}`+"\n", l.last, method,
		params); err != nil {
		t.Fatal(err)
	}
	return l.last
}

func (l *lineClient) ask(t *testing.T, method, params string) (out conversation) {
	t.Helper()
	l.send(t, method, params)
	for l.r.Scan() {
		if out.hear(t, l.r.Bytes()) {
			return out
		}
	}
	t.Fatalf("the connection has ended: %v", l.r.Err())
	return out
}

// TestTheFirstRequestIsTheSDKs: without a handshake the SDK learns from it that the connection is
// in use; the lane takes the next one.
func TestTheFirstRequestIsTheSDKs(t *testing.T) {
	dir := &crew{}
	dir.add(t, "echo", echoCaps(newProbe()))
	s := newSite(t, dir, GatewayOptions{})
	l := newLineClient(t, s)
	for i := range int64(3) {
		got := mustJSON(t, l.ask(t, `"tools/call"`, `{"name":"echo_say","arguments":{"word":"w"},`+newestMeta("")+
			`}`).said)
		if !strings.Contains(got, "echoed") || !strings.Contains(got, `"resultType":"complete"`) {
			t.Errorf("%s", got)
		}
		if n := s.Express(); n != i && !noExpress {
			t.Errorf("after %d calls %d took the lane", i+1, n)
		}
	}
}

// TestCancellationInTheNewestEra: on stdio a notice does it, over HTTP the end of the connection,
// with our client and with the SDK's.
func TestCancellationInTheNewestEra(t *testing.T) {
	p, dir := newProbe(), &crew{}
	dir.add(t, "echo", echoCaps(p))
	s := newSite(t, dir, GatewayOptions{})
	cancels := func(t *testing.T, call func(ctx context.Context) error) {
		t.Helper()
		before := s.Express()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		receive(t, "the call", p.started)
		cancel()
		if err := receive(t, "the tool's end", p.cancelled); err == nil {
			t.Error("the tool was not cancelled")
		}
		if err := receive(t, "the call's end", done); err == nil {
			t.Error("the call was answered")
		}
		if n := s.Express() - before; n != 1 && !noExpress {
			t.Errorf("%d calls took the lane", n)
		}
	}
	for _, tr := range []Transport{Stdio, Streamable} {
		t.Run("stock client, "+string(tr), func(t *testing.T) {
			cs := s.join(t, way{transport: tr}, nil)
			if v := cs.InitializeResult().ProtocolVersion; v != eraNewest {
				t.Fatal(v)
			}
			cancels(t, func(ctx context.Context) error {
				_, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "echo_wait", Arguments: word{"w"}})
				return err
			})
		})
	}
	t.Run("our client, http", func(t *testing.T) {
		us := mustConnect(t, Target{Name: "site", Transport: Streamable, URL: s.url + "/mcp", Protocol: eraNewest},
			ConnectOptions{})
		cancels(t, func(ctx context.Context) error { _, err := call(ctx, us, "echo_wait", word{"w"}, nil); return err })
	})
	t.Run("our client, stdio", func(t *testing.T) {
		near, far := pipes(t)
		ended := make(chan error, 1)
		go func() { ended <- s.ServeStdio(context.Background(), far.Reader, far.Writer) }()
		t.Cleanup(func() { _ = near.Writer.Close(); receive(t, "the end", ended) })
		us := overPipes(t, near, Target{Name: "site", Protocol: eraNewest}, ConnectOptions{})
		cancels(t, func(ctx context.Context) error { _, err := call(ctx, us, "echo_wait", word{"w"}, nil); return err })
	})
}

// TestClientsSayTheSameOnTheLane: what a server of the newest era sees of our calls, and what our
// callers get from it.
func TestClientsSayTheSameOnTheLane(t *testing.T) {
	type seen struct {
		header http.Header
		meta   any
	}
	var last atomic.Pointer[seen]
	f := newFixture()
	f.AddTool(&sdk.Tool{Name: "where",
		InputSchema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string","x-mcp-header":"City"}}}`)}, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: r.Extra.Header.Get("Mcp-Param-City")}}}, nil
	})
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
		return f.Server
	}, &sdk.StreamableHTTPOptions{Stateless: true})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var env wire.Envelope
		var p struct {
			Meta any `json:"_meta"`
		}
		if env.Scan(body) && string(env.Method) == methodCall && json.Unmarshal(env.Params, &p) == nil {
			header := r.Header.Clone()
			header.Del("Content-Length")
			last.Store(&seen{header, p.Meta})
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { f.hangUp(srv) })
	for _, trusted := range []bool{false, true} {
		target := Target{Name: "fix", Transport: Streamable, URL: srv.URL, Protocol: eraNewest, Trusted: trusted,
			Headers: map[string]string{"X-Own": "1"}}
		on, off := mustConnect(t, target, ConnectOptions{}), mustConnect(t, target, ConnectOptions{NoExpress: true})
		for _, c := range []struct {
			tool, in string
			sdk      bool
		}{{tool: "echo", in: `{"n":1}`}, {tool: "meta", in: `{}`}, {tool: "fail", in: `{}`}, {tool: "nobody", in: `{}`},
			{tool: "where", in: `{"city":"Rome"}`, sdk: true}, {tool: "no\u00efve", in: `{}`, sdk: true}} {
			before := on.Express()
			got, gotErr := call(t.Context(), on, c.tool, json.RawMessage(c.in), nil)
			gotSeen := last.Load()
			want, wantErr := call(t.Context(), off, c.tool, json.RawMessage(c.in), nil)
			if mustJSON(t, got) != mustJSON(t, want) || mustJSON(t, agent.AsError(gotErr)) != mustJSON(t,
				agent.AsError(wantErr)) {
				t.Errorf("%s: %s %v, want %s %v", c.tool, mustJSON(t, got), gotErr, mustJSON(t, want), wantErr)
			}
			if wantSeen := last.Load(); !reflect.DeepEqual(gotSeen, wantSeen) {
				t.Errorf("%s: the server sees\n%s\nwant\n%s", c.tool, mustJSON(t, []any{gotSeen.header, gotSeen.meta}),
					mustJSON(t, []any{wantSeen.header, wantSeen.meta}))
			}
			if n := on.Express() - before; !noExpress && n == 1 == c.sdk {
				t.Errorf("%s: %d calls took the lane", c.tool, n)
			}
		}
	}
}
