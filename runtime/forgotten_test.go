package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// forgetful is an MCP server over HTTP that forgets its sessions, and answers then as servers do.
type forgetful struct {
	*httptest.Server
	ran      atomic.Int64 // calls of the tool
	sessions atomic.Int64

	mu     sync.Mutex
	known  map[string]bool // session to whether it was forgotten
	answer func(w http.ResponseWriter, id json.RawMessage)
}

func newForgetful(t *testing.T, sse bool) *forgetful {
	t.Helper()
	f := &forgetful{known: map[string]bool{}}
	s := foreign()
	sdk.AddTool(s, &sdk.Tool{Name: "count"},
		func(context.Context, *sdk.CallToolRequest, note) (*sdk.CallToolResult, any, error) {
			f.ran.Add(1)
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "ok"}}}, nil, nil
		})
	server := func(*http.Request) *sdk.Server { return s }
	var h http.Handler = sdk.NewStreamableHTTPHandler(server, nil)
	if sse {
		h = sdk.NewSSEHandler(server, nil)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var msg struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name string }
		}
		_ = json.Unmarshal(body, &msg) // a GET has none
		if msg.Method == "initialize" {
			f.sessions.Add(1)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		f.mu.Lock()
		id := r.Header.Get("Mcp-Session-Id") + r.URL.Query().Get("sessionid")
		gone := f.known[id]
		f.known[id] = gone
		answer := f.answer
		f.mu.Unlock()
		switch {
		case msg.Params.Name == "env": // this call is refused, and the session is well
			http.Error(w, "bad request", http.StatusBadRequest)
		case gone && r.Method == http.MethodPost:
			answer(w, msg.ID)
		case gone: // over SSE there is no such request: the stream of a forgotten session stays open
			http.NotFound(w, r)
		default:
			h.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
		for session := range s.Sessions() { // those that were forgotten
			_ = session.Close()
		}
	})
	return f
}

// agent is the server as an agent.
func (f *forgetful) agent(sse bool) project.Agent {
	if sse {
		return project.Agent{URL: f.URL, Communicator: project.OverSSE}
	}
	return project.Agent{URL: f.URL}
}

// forget forgets all sessions.
func (f *forgetful) forget(answer func(http.ResponseWriter, json.RawMessage)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.known {
		f.known[id] = id != ""
	}
	f.answer = answer
}

func status(code int, body string) func(http.ResponseWriter, json.RawMessage) {
	return func(w http.ResponseWriter, id json.RawMessage) {
		if strings.HasPrefix(body, "{") {
			w.Header().Set("Content-Type", "application/json")
		}
		if len(id) == 0 {
			id = json.RawMessage("null")
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "ID", string(id)))
	}
}

// A session that the server has forgotten is opened anew, and the call that found it out is made
// again, once: it did not run.
func TestForgottenSessions(t *testing.T) {
	rpc := func(code int, text string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":ID,"error":{"code":%d,"message":%q}}`, code, text)
	}
	for name, answer := range map[string]func(http.ResponseWriter, json.RawMessage){
		"404":                status(404, "no such session"),
		"404 with an error":  status(404, rpc(-32001, "Session not found")),
		"400":                status(400, "Bad Request: No valid session ID provided"),
		"400 with an error":  status(400, rpc(-32000, "Bad Request: No valid session ID provided")),
		"401":                status(401, ""),
		"200 and an error":   status(200, rpc(-32600, "Session terminated")),
		"200, odd error":     status(200, rpc(-32602, "Invalid request parameters")),
		"SSE: 200 and no id": status(200, strings.Replace(rpc(-32001, "Session not found"), "ID", "null", 1)),
	} {
		for _, way := range []struct{ sse, fast bool }{{false, true}, {false, false}, {true, true}, {true, false}} {
			if name == "SSE: 200 and no id" && !way.sse {
				continue
			}
			t.Run(fmt.Sprintf("%s, SSE %v, fast path %v", name, way.sse, way.fast), func(t *testing.T) {
				t.Parallel()
				f := newForgetful(t, way.sse)
				s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": f.agent(way.sse)},
					MCP: project.MCP{FastPath: &way.fast}}, nil)
				for n := range 3 {
					if n > 0 {
						f.forget(answer)
					}
					if got, err := agent.Ask[string](s.ctx, "docs.count", note{}); err != nil || got != "ok" {
						t.Fatalf("call %d: %q, %v", n, got, err)
					}
				}
				if ran, sessions := f.ran.Load(), f.sessions.Load(); ran != 3 || sessions != 3 {
					t.Errorf("3 calls ran %d times in %d sessions\n%s", ran, sessions, s.log)
				}
				st := s.agentStatus("docs")
				if st.State != runtime.StateReady || st.Instances[0].Restarts != 2 || st.Retries != 0 {
					t.Errorf("%+v", st)
				}
			})
		}
	}
	t.Run("many at once", func(t *testing.T) {
		f := newForgetful(t, false)
		s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: f.URL}}}, nil)
		f.forget(status(400, "Bad Request: No valid session ID provided"))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := agent.Ask[string](s.ctx, "docs.count", note{}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if ran, sessions := f.ran.Load(), f.sessions.Load(); ran != 20 || sessions != 2 {
			t.Errorf("20 calls ran %d times in %d sessions", ran, sessions)
		}
	})
	t.Run("one call is refused", func(t *testing.T) {
		f := newForgetful(t, false)
		s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: f.URL}}}, nil)
		if _, err := agent.Ask[string](s.ctx, "docs.env", note{}); agent.CodeOf(err) != agent.CodeInvalidArgument {
			t.Error(err)
		}
		if n := f.sessions.Load(); n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}
