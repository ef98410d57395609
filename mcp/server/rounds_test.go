package server

import (
	"bufio"
	"bytes"
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

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// TestQuestionsWithoutASession: what a tool asks reaches a client of each version, and what was
// answered once is not asked again.
func TestQuestionsWithoutASession(t *testing.T) {
	var runs atomic.Int64
	dir := &fixture.Crew{}
	dir.Add(t, "quiz", fixture.Quizzer(&runs))
	s := newSite(t, dir, GatewayOptions{})
	for _, w := range []way{{mcp.Stdio, codec.Version20260728, "", ""}, {mcp.Streamable, codec.Version20260728, "", ""},
		{mcp.Stdio, codec.Version20251125, "", ""},
		{mcp.SSE, codec.Version20251125, "", ""}, {mcp.Streamable, codec.Version20251125, "", ""}} {
		t.Run(w.String(), func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			cs := s.join(t, w, &sdk.ClientOptions{ElicitationHandler: func(_ context.Context, r *sdk.ElicitRequest) (
				*sdk.ElicitResult, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, r.Params.Message)
				return &sdk.ElicitResult{Action: "accept",
					Content: map[string]any{"word": fmt.Sprintf("%s %d", r.Params.Message, len(asked))}}, nil
			}})
			said := func(tool string) string {
				asked = nil
				runs.Store(0)
				return fixture.TextOf(fixture.CallTool(t, cs, "quiz_"+tool, fixture.Word{}))
			}
			want, before := "first 1, second 2, second 3, third 4", s.FastCalls()
			if got := said("row"); got != want || len(asked) != 4 {
				t.Errorf("row: %s; asked %v", got, asked)
			}
			// Right after a handshake, the SDK may still be at the message that opens the fast
			// path.
			if n := s.FastCalls() - before; n != 1 && !fixture.NoFastPath &&
				(n != 0 || w.version == codec.Version20260728) {
				t.Errorf("the first of its requests takes the fast path, and those with answers do not: %d did", n)
			}
			if n := runs.Load(); w.version == codec.Version20260728 && n != 1 || w.version != codec.Version20260728 &&
				n != 1 {
				t.Errorf("the tool ran %d times", n)
			}
			if got := said("nested"); got != want || len(asked) != 4 {
				t.Errorf("nested: %s; asked %v", got, asked)
			}
			if got := said("both"); got != "left 1, right 2" && got != "left 2, right 1" || len(asked) != 2 {
				t.Errorf("both: %s; asked %v", got, asked)
			}
			if got := said("stubborn"); got != "really 1" {
				t.Errorf("stubborn: %s", got)
			}
			if got := said("mixed"); got != `s1 {"action":"accept","content":{"word":"own 1"}} {"action":"accept","content":{"word":"then 2"}}` {
				t.Errorf("mixed: %s", got)
			}
			asked = nil
			p, err := cs.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "quiz_riddle"})
			if err != nil || len(p.Messages) != 1 || fixture.Block(t, p.Messages[0].Content).Text != "riddle 1" {
				t.Errorf("prompt: %s %v", fixture.MustJSON(t, p), err)
			}
			asked = nil
			r, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "quiz://secret"})
			if err != nil || len(r.Contents) != 1 || r.Contents[0].Text != "password 1" {
				t.Errorf("resource: %s %v", fixture.MustJSON(t, r), err)
			}
		})
	}
}

// statelessRequest is one of protocol 2026-07-28, in its raw form.
func (s *site) statelessRequest(t *testing.T, ctx context.Context, token, method string, params map[string]any,
	capabilities string) *http.Request {
	t.Helper()
	meta := map[string]any{sdk.MetaKeyProtocolVersion: codec.Version20260728,
		sdk.MetaKeyClientCapabilities: json.RawMessage(capabilities)}
	if key, ok := params["key"]; ok {
		meta[codec.MetaKey] = key
	}
	delete(params, "key")
	params["_meta"] = meta
	body := fixture.MustJSON(t, map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	h := map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		codec.VersionHeader: codec.Version20260728, "Mcp-Method": method, "Authorization": "Bearer " + token}
	if name, ok := params["name"].(string); ok {
		h["Mcp-Name"] = name
	}
	for k, v := range h {
		r.Header.Set(k, v)
	}
	return r
}

func (s *site) stateless(t *testing.T, token, method string, params map[string]any,
	capabilities string) *http.Response {
	t.Helper()
	resp, err := http.DefaultClient.Do(s.statelessRequest(t, t.Context(), token, method, params, capabilities))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// answerOf reads the answer out of a response, be it JSON or a stream of events.
func answerOf(t *testing.T, resp *http.Response) (out struct {
	Result struct {
		Type     string                             `json:"resultType"`
		State    string                             `json:"requestState"`
		Requests map[string]struct{ Method string } `json:"inputRequests"`
		Content  []struct{ Text string }
	}
	Error *jsonrpc.Error
}) {
	t.Helper()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := bytes.TrimPrefix(lines.Bytes(), []byte("data: "))
		if bytes.Contains(line, []byte(`"id":1`)) {
			if err := json.Unmarshal(line, &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	t.Fatalf("no answer: %d", resp.StatusCode)
	return out
}

const elicits = `{"elicitation":{"form":{}}}`

// TestStateOfACallIsBound: what the client carries from round to round is good for its own call
// only, unchanged.
func TestStateOfACallIsBound(t *testing.T) {
	var runs atomic.Int64
	dir := &fixture.Crew{}
	dir.Add(t, "quiz", fixture.Quizzer(&runs))
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens}})
	first := answerOf(t, s.stateless(t, "ann", "tools/call",
		map[string]any{"name": "quiz_stubborn", "arguments": fixture.Word{Word: "x"}}, elicits)).Result
	if first.Type != "input_required" || len(first.Requests) != 1 || len(first.Content) != 0 {
		t.Fatalf("%+v", first)
	}
	responses := map[string]any{}
	for id, r := range first.Requests {
		if r.Method != "elicitation/create" {
			t.Errorf("%+v", first)
		}
		responses[id] = map[string]any{"action": "accept", "content": fixture.Word{Word: "yes"}}
	}
	retry := func(token, tool, arg, state string) map[string]any {
		return map[string]any{"name": "quiz_" + tool, "arguments": fixture.Word{Word: arg}, "inputResponses": responses,
			"requestState": state}
	}
	for name, c := range map[string]struct{ token, tool, arg, state string }{
		"somebody else":  {"bob", "stubborn", "x", first.State},
		"one of ours":    {"!ann", "stubborn", "x", first.State},
		"another tool":   {"ann", "row", "x", first.State},
		"other input":    {"ann", "stubborn", "y", first.State},
		"changed":        {"ann", "stubborn", "x", first.State + "A"},
		"changed inside": {"ann", "stubborn", "x", "A" + first.State},
		"made up":        {"ann", "stubborn", "x", "e30.e30"},
	} {
		resp := s.stateless(t, c.token, "tools/call", retry(c.token, c.tool, c.arg, c.state), elicits)
		if a := answerOf(t, resp); a.Error == nil || a.Error.Code != jsonrpc.CodeInvalidParams ||
			resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %+v", name, resp.StatusCode, a)
		}
	}
	if a := answerOf(t, s.stateless(t, "ann", "tools/call", retry("ann", "stubborn", "x", first.State),
		elicits)); a.Error != nil || a.Result.Type != "complete" || a.Result.Content[0].Text != "yes" {
		t.Errorf("%+v", a)
	}
	if a := answerOf(t, s.stateless(t, "ann", "tools/call",
		map[string]any{"name": "quiz_row", "arguments": fixture.Word{}},
		"{}")); a.Error == nil || a.Error.Code != sdk.CodeMissingRequiredClientCapabilities {
		t.Errorf("%+v", a)
	}
	state, rounds := "", 0
	for {
		params := map[string]any{"name": "quiz_endless", "arguments": fixture.Word{}, "requestState": state,
			"inputResponses": responses}
		a := answerOf(t, s.stateless(t, "ann", "tools/call", params, elicits)).Result
		if a.Type != "input_required" {
			if !strings.Contains(a.Content[0].Text, "asked for input 10 times") {
				t.Errorf("%+v", a)
			}
			break
		}
		if state, rounds = a.State, rounds+1; rounds > codec.MaxRounds {
			t.Fatal("it asks for ever")
		}
		clear(responses)
		for id := range a.Requests {
			responses[id] = map[string]any{"action": "accept", "content": fixture.Word{Word: "go on"}}
		}
	}
}

// TestStatelessRequestsAreGuarded: identity, limits and drain hold in the version without sessions,
// and a connection that closes cancels its call.
func TestStatelessRequestsAreGuarded(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	s := newSite(t, dir, GatewayOptions{Options: Options{Identify: tokens,
		Limits: Limits{Sessions: 1, Calls: 1}}})
	for token, want := range map[string]int{"": http.StatusUnauthorized, "ann": http.StatusOK} {
		if resp := s.stateless(t, token, "server/discover", map[string]any{}, "{}"); resp.StatusCode != want {
			t.Errorf("discover as %q: %d", token, resp.StatusCode)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	request := s.statelessRequest(t, ctx, "ann", "tools/call",
		map[string]any{"name": "echo_wait", "arguments": fixture.Word{Word: "w"}}, "{}")
	go func() {
		defer close(waiting)
		if resp, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body) // until it is cancelled
			_ = resp.Body.Close()
		}
	}()
	fixture.Receive(t, "the call", p.Started)
	if a := answerOf(t, s.stateless(t, "ann", "tools/call",
		map[string]any{"name": "echo_say", "arguments": fixture.Word{Word: "w"}},
		"{}")).Result; len(a.Content) != 1 || !strings.Contains(a.Content[0].Text, "1 calls are running") &&
		!strings.Contains(a.Content[0].Text, "the limit") {
		t.Errorf("over the limit: %+v", a)
	}
	cancel()
	if err := fixture.Receive(t, "the tool's end", p.Cancelled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-waiting

	listen := func() *http.Response {
		return s.stateless(t, "ann", wire.MethodListen,
			map[string]any{"notifications": map[string]any{"toolsListChanged": true}}, "{}")
	}
	open := listen()
	events := bufio.NewScanner(open.Body)
	next := func(what string) {
		t.Helper()
		for events.Scan() {
			if strings.Contains(events.Text(), what) {
				return
			}
		}
		t.Errorf("%s: the stream ended", what)
	}
	next("subscriptions/acknowledged")
	if resp := listen(); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one listener too many: %d", resp.StatusCode)
	}
	if infos := s.Sessions(); len(infos) != 1 || infos[0].Identity != "ann" {
		t.Errorf("%+v", infos)
	}
	dir.Add(t, "other", fixture.OtherCaps())
	s.Refresh()
	next("tools/list_changed")
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	for events.Scan() { // ends with the stream
	}
	if resp := listen(); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a listener after the drain: %d", resp.StatusCode)
	}
	if n := len(s.Sessions()); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
