package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// streaming is a server over streamable HTTP whose stream outside of calls says what it is told to.
func streaming(t *testing.T, said <-chan string, calls http.HandlerFunc) string {
	inner := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // in memory
		var env wire.Envelope
		if env.Scan(body); env.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		calls(w, r)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush() // a client that is gone ends the request
			select {
			case s := <-said:
				_, _ = io.WriteString(w, s) // as above
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// TestABadEventCostsItselfOnly: what comes on the stream outside of calls and is no message ends
// neither the stream nor the session.
func TestABadEventCostsItselfOnly(t *testing.T) {
	said := make(chan string, 100)
	url := streaming(t, said, func(w http.ResponseWriter, r *http.Request) {
		id, method := idOf(r)
		w.Header().Set("Content-Type", "application/json")
		if method == codec.MethodCall {
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`, id)
		} else {
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"tools":[]}}`, id)
		}
	})
	lines := make(chan string, 10)
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: url}, Options{Back: agent.BackChannelFuncs{
		OnLog: func(l agent.LogNotice) { lines <- string(l.Data) }}})
	for i, bad := range []string{"hello", `{"jsonrpc":"2.0","method":"notifications/message","params":{"data":NaN}}`, `[`,
		`{}`, `{"jsonrpc":"1.0","method":"x"}`, `{"jsonrpc":"2.0","id":null,"error":{}}`, `null`, `"`,
		`{"jsonrpc":"2.0","id":{},"result":{}}`} {
		said <- "data: " + bad + "\n\n"
		said <- fmt.Sprintf("id: %d\nretry: 5\n: a comment\ndata: ", i) +
			`{"jsonrpc":"2.0","method":"notifications/message",` +
			fmt.Sprintf(`"params":{"level":"info","data":%d}}`, i) + "\n\n"
		if got := fixture.Receive(t, "a log line", lines); got != fmt.Sprint(i) {
			t.Errorf("after %s: %s", bad, got)
		}
	}
	if _, err := call(t.Context(), s, "any", struct{}{}, nil); err != nil {
		t.Errorf("the session does not go on: %v", err)
	}
}

// filter: a bad event on the stream outside of calls ends the session.
func TestSDKEndsSessionsAtABadEvent(t *testing.T) {
	said := make(chan string, 1)
	url := streaming(t, said, nil)
	cs, err := fixture.ConnectSDK(t, &sdk.StreamableClientTransport{Endpoint: url, MaxRetries: -1},
		codec.Version20251125, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cs.Wait() }()
	said <- "data: hello\n\n"
	if err := fixture.Receive(t, "the end of the session", ended); err == nil {
		t.Error("the session has ended without an error")
	}
}

// TestAStreamGoesOnWhereItBroke: the SDK learns the ids of events that hold nothing for it.
func TestAStreamGoesOnWhereItBroke(t *testing.T) {
	asked := make(chan string, 10)
	inner := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		id, _ := idOf(r)
		if id == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"tools":[]}}`, id)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		last := r.Header.Get("Last-Event-ID")
		asked <- last
		if last == "" {
			_, _ = io.WriteString(w, "id: 7\nretry: 1\n\nid: 8\ndata: no message\n\n")
			return
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL}, Options{})
	for _, want := range []string{"", "8"} {
		if got := fixture.Receive(t, "the GET", asked); got != want {
			t.Errorf("Last-Event-ID %q, want %q", got, want)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
