package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// newestMeta is what a request of protocol 2026-07-28 has to contain, and what else it contains.
func newestMeta(more string) string {
	return `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}}` + more + `}`
}

const bareMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

type newestCase struct {
	params string            // of the tools/call
	header map[string]string // over HTTP, beside what belongs there; an empty one is left out
	sdk    bool              // it is not for the fast path
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
		"questions":          {params: tool("quiz_stubborn", newestMeta(""))},
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
		"another method":     {say, map[string]string{codec.MethodHeader: "tools/list"}, true},
		"no method":          {say, map[string]string{codec.MethodHeader: ""}, true},
		"another name":       {say, map[string]string{codec.NameHeader: "echo_plain"}, true},
		"no name":            {say, map[string]string{codec.NameHeader: ""}, true},
		"another version":    {say, map[string]string{codec.VersionHeader: codec.Version20251125}, true},
		"no version":         {say, map[string]string{codec.VersionHeader: ""}, true},
		"a later version":    {say, map[string]string{codec.VersionHeader: "2027-01-01"}, true},
		"no version inside":  {`{"name":"echo_say","arguments":{"word":"w"}}`, nil, true},
		"another media type": {say, map[string]string{"Content-Type": "text/plain"}, true},
		"half an accept":     {say, map[string]string{"Accept": "application/json"}, true},
		"a resumption":       {say, map[string]string{"Last-Event-ID": "1"}, true},
		"a header":           {where, map[string]string{"Mcp-Param-City": "Rome"}, true},
		"no header":          {where, nil, true},
		"another header":     {where, map[string]string{"Mcp-Param-City": "Paris"}, true},
		"a session":          {say, map[string]string{codec.SessionHeader: "none"}, false},
		"a charset":          {say, map[string]string{"Content-Type": "application/json; charset=utf-8"}, false},
	}
}

// conversation is all that a server sends for a request: a status over HTTP, its notices, its
// answer.
type conversation struct {
	status int
	said   []any
}

// add adds a message without what differs from server to server and from call to call.
func (c *conversation) add(t *testing.T, raw []byte) (answered bool) {
	t.Helper()
	msg, ok := fixture.Tree(t, raw).(map[string]any)
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
		codec.VersionHeader: codec.Version20260728, codec.MethodHeader: codec.MethodCall, codec.NameHeader: p.Name}
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
			if out.add(t, data) {
				return out
			}
		}
	case "application/json":
		out.add(t, body)
	default:
		out.said = append(out.said, string(body))
	}
	return out
}

// TestFastPathWithoutHandshake: whatever is asked, and however, the answers are those of
// the SDK, and those that are plain took the fast path.
func TestFastPathWithoutHandshake(t *testing.T) {
	if fixture.NoFastPath {
		t.Skip("this test runs without the fast path in any case")
	}
	var runs atomic.Int64
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	dir.Add(t, "quiz", fixture.Quizzer(&runs))
	dir.Add(t, "map", fixture.Heading())
	on, off := newSite(t, dir, GatewayOptions{}),
		newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: true}})
	compare := func(t *testing.T, c newestCase, ask func(*site) conversation) {
		t.Helper()
		before := on.FastCalls()
		got, want := ask(on), ask(off)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("on the fast path\n%d %s\nbeside it\n%d %s", got.status, fixture.MustJSON(t, got.said),
				want.status,
				fixture.MustJSON(t, want.said))
		}
		if taken := on.FastCalls() - before; taken == 1 == c.sdk {
			t.Errorf("%d calls took the fast path: %s", taken, fixture.MustJSON(t, got.said))
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
	if off.FastCalls() != 0 {
		t.Errorf("%d calls took the fast path, which is off", off.FastCalls())
	}
}

// lineClient writes requests on stdio as they come.
type lineClient struct {
	w    io.Writer
	r    *bufio.Scanner
	last int
}

func newLineClient(t *testing.T, s *site) *lineClient {
	tr := fixture.SDKPipes(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
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
		if out.add(t, l.r.Bytes()) {
			return out
		}
	}
	t.Fatalf("the connection has ended: %v", l.r.Err())
	return out
}

// TestTheFirstRequestIsTheSDKs: without a handshake the SDK learns from it that the connection is
// in use; the fast path takes the next one.
func TestTheFirstRequestIsTheSDKs(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{})
	l := newLineClient(t, s)
	for i := range int64(3) {
		got := fixture.MustJSON(t,
			l.ask(t, `"tools/call"`, `{"name":"echo_say","arguments":{"word":"w"},`+newestMeta("")+
				`}`).said)
		if !strings.Contains(got, "echoed") || !strings.Contains(got, `"resultType":"complete"`) {
			t.Errorf("%s", got)
		}
		if n := s.FastCalls(); n != i && !fixture.NoFastPath {
			t.Errorf("after %d calls %d took the fast path", i+1, n)
		}
	}
}

// TestCancellationInTheNewestVersion: on stdio a notice does it, over HTTP the end of the
// connection, as the SDK's client has it.
func TestCancellationInTheNewestVersion(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	s := newSite(t, dir, GatewayOptions{})
	cancels := func(t *testing.T, call func(ctx context.Context) error) {
		t.Helper()
		before := s.FastCalls()
		p.Cancels(t, call)
		if n := s.FastCalls() - before; n != 1 && !fixture.NoFastPath {
			t.Errorf("%d calls took the fast path", n)
		}
	}
	for _, tr := range []mcp.Transport{mcp.Stdio, mcp.Streamable} {
		t.Run(string(tr), func(t *testing.T) {
			cs := s.join(t, way{transport: tr}, nil)
			if v := cs.InitializeResult().ProtocolVersion; v != codec.Version20260728 {
				t.Fatal(v)
			}
			cancels(t, func(ctx context.Context) error {
				_, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "echo_wait", Arguments: fixture.Word{Word: "w"}})
				return err
			})
		})
	}
}
