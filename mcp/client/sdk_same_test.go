package client

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A spoken is what a server says to one call of a tool: its response, and what follows when the
// client comes back for the rest of a broken stream. $id stands for the request's id.
type spoken struct{ media, response, rest string }

const spokenNotice = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"n"}}`

// spokenWell is what a server may say; the SDK alone understands all of it.
var spokenWell = map[string]spoken{
	"JSON": {"application/json", `{"jsonrpc":"2.0","id":$id,"result":{"content":[{"type":"text","text":"a\n<&>é"}]}}`, ""},
	"JSON of several lines": {"application/json; charset=utf-8",
		"{\"jsonrpc\":\"2.0\",\n \"id\":$id,\r\n \"result\":{\"content\":[]}}\n", ""},
	"a JSON error": {"application/json", `{"jsonrpc":"2.0","id":$id,"error":{"code":-32602,"message":"no","data":{"a":1}}}`, ""},
	"a stream":     {"text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}\n\n", ""},
	"a named event": {"text/event-stream", "event: message\nid: 1\nretry: 5\n" +
		"data: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[],\"structuredContent\":{\"a\":1.50}}}\n\n", ""},
	"events of other names": {"text/event-stream", ": hello\n\nevent: ping\ndata: x\n\n" +
		"data: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}\n\n", ""},
	"data of two lines": {"text/event-stream",
		"data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":$id,\"result\":{\"content\":[]}}\n\n", ""},
	"line ends of Windows": {"text/event-stream",
		"event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}\r\n\r\n", ""},
	"notices before": {"text/event-stream", "data: " + spokenNotice + "\n\ndata: " + spokenNotice + "\n\n" +
		"data: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}\n\n", ""},
	"a question before": {"text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"ping\"}\n\n" +
		"data: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}\n\n", ""},
	"an answer to nobody": {"text/event-stream", "data: {\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n\n" +
		"data: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}\n\n", ""},
	"an error on a stream": {"text/event-stream",
		"data: {\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":7,\"message\":\"no\"}}\n\n", ""},
	"a result that does not fit": {"application/json", `{"jsonrpc":"2.0","id":$id,"result":{"content":"text"}}`, ""},
	"the rest of a broken stream": {"text/event-stream", "id: 7\nretry: 1\ndata:\n\ndata: " + spokenNotice + "\n\n",
		"id: 8\ndata: {\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}\n\n"},
}

// heardOf is what the SDK's client makes of it: the result or the error, the notices, and what the
// server gets.
func heardOf(t *testing.T, said spoken, ours bool) (all []string) {
	var mu sync.Mutex
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, fmt.Sprintf(format, args...))
	}
	var rest string
	var calls atomic.Int64
	answered := make(chan bool, 1)
	inner := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // in memory
		var env wire.Envelope
		env.Scan(body)
		switch {
		case string(env.Method) == codec.MethodCall && calls.Add(1) > 1:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`, env.ID)
			return
		case string(env.Method) == codec.MethodCall:
			rest = strings.ReplaceAll(said.rest, "$id", string(env.ID))
			w.Header().Set("Content-Type", said.media)
			_, _ = io.WriteString(w, strings.ReplaceAll(said.response, "$id", string(env.ID)))
			return
		case env.Method == nil:
			note("the server got %s", body)
			answered <- true
		}
		w.WriteHeader(http.StatusAccepted)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if last := r.Header.Get(codec.LastEventHeader); last != "" {
			note("resumed after %s", last)
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, rest)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer func() { srv.CloseClientConnections(); srv.Close() }()
	var base http.RoundTripper = &http.Transport{}
	defer base.(*http.Transport).CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
	defer cancel()
	if ours {
		rt := newRoundTripper(base, true, Options{Logger: slog.New(slog.DiscardHandler)}.WithDefaults())
		defer rt.abort()
		rt.hook = func([]byte, *wire.Envelope) bool { return false }
		base = rt
		ctx, _ = withNote(ctx)
	}
	notices := make(chan string, 10)
	cs, err := fixture.ConnectSDK(t, &sdk.StreamableClientTransport{Endpoint: srv.URL,
		HTTPClient: &http.Client{Transport: base}}, codec.Version20251125, &sdk.ClientOptions{
		LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) {
			notices <- fmt.Sprintf("notice %v", r.Params.Data)
		}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "any"})
	note("%s, %v", fixture.MustJSON(t, res), err)
	for range strings.Count(said.response, spokenNotice) {
		note("%s", fixture.Receive(t, "a notice", notices))
	}
	if strings.Contains(said.response, `"ping"`) {
		fixture.Receive(t, "our answer", answered)
	}
	again, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "any"}) // the session goes on, or does not
	note("again %v, %v", again != nil, err)
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(all)
	return slices.Compact(all)
}

// readForSDK: what a server says well means to the SDK what it means to it alone.
func TestResponsesAreTheSDKs(t *testing.T) {
	for name, said := range spokenWell {
		t.Run(name, func(t *testing.T) {
			alone, ours := heardOf(t, said, false), heardOf(t, said, true)
			if !slices.Equal(alone, ours) {
				t.Errorf("the SDK alone\n  %s\nand through us\n  %s", strings.Join(alone, "\n  "),
					strings.Join(ours, "\n  "))
			}
		})
	}
}
