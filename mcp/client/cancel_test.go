package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/wire"
)

func TestServersThatEndAtACancellationAreNoted(t *testing.T) {
	for hello, want := range map[string]bool{
		// Python SDK 1.6.0
		`{"capabilities":{"experimental":{},"tools":{"listChanged":false}},"protocolVersion":"2024-11-05"}`: true,
		// one that means it
		`{"capabilities":{"experimental":{"x":{}},"tools":{}},"protocolVersion":"2025-06-18"}`: false,
		// Python SDK 2.3.0, and others
		`{"capabilities":{"tools":{}},"protocolVersion":"2025-11-25"}`: false,
		`{}`: false,
	} {
		var res sdk.InitializeResult
		if err := json.Unmarshal([]byte(hello), &res); err != nil {
			t.Fatal(err)
		}
		if got := crashesOnCancel(&res); got != want {
			t.Errorf("%s: %v", hello, got)
		}
	}
}

var (
	capabilities = []byte(`"capabilities":{`)
	likePython   = []byte(`"capabilities":{"experimental":{},`)
)

// disguised makes a server of the SDK look like one of the Python SDK 1.x, and counts the
// cancellations that reach it.
type disguised struct {
	sdk.Transport
	cancelled *atomic.Int32
}

func (d *disguised) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := d.Transport.Connect(ctx)
	return &disguisedConn{c, d.cancelled}, err
}

type disguisedConn struct {
	sdk.Connection
	cancelled *atomic.Int32
}

func (c *disguisedConn) Read(ctx context.Context) (jsonrpc.Message, error) {
	msg, err := c.Connection.Read(ctx)
	if req, ok := msg.(*jsonrpc.Request); ok && req.Method == wire.MethodCancelled {
		c.cancelled.Add(1)
	}
	return msg, err
}

func (c *disguisedConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	if res, ok := msg.(*jsonrpc.Response); ok {
		res.Result = bytes.Replace(res.Result, capabilities, likePython, 1)
	}
	return c.Connection.Write(ctx, msg)
}

type disguisedWriter struct{ http.ResponseWriter }

func (w disguisedWriter) Write(b []byte) (int, error) {
	_, err := w.ResponseWriter.Write(bytes.Replace(b, capabilities, likePython, 1))
	return len(b), err
}

func (w disguisedWriter) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

func disguise(h http.Handler, cancelled *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && bytes.Contains(body, []byte(wire.MethodCancelled)) {
			cancelled.Add(1)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(disguisedWriter{w}, r)
	})
}

// A call that was given up must not take a session of the Python SDK 1.x with it.
func TestServersThatEndAtACancellationGetNone(t *testing.T) {
	var cancelled atomic.Int32
	for name, open := range map[string]func(t *testing.T, f *fixture.Foreign) *Session{
		"stdio": func(t *testing.T, f *fixture.Foreign) *Session {
			near, far := pipes(t)
			ctx, cancel := context.WithCancel(context.Background())
			var serving sync.WaitGroup
			serving.Go(func() {
				// how it ends is up to the client
				_ = f.Run(ctx, &disguised{&sdk.IOTransport{Reader: far.Reader, Writer: far.Writer}, &cancelled})
			})
			t.Cleanup(func() { close(f.Free); cancel(); serving.Wait() })
			return overPipes(t, near, Target{}, Options{})
		},
		"sse": func(t *testing.T, f *fixture.Foreign) *Session {
			srv := httptest.NewServer(disguise(sdk.NewSSEHandler(func(*http.Request) *sdk.Server {
				return f.Server
			}, nil), &cancelled))
			t.Cleanup(func() { f.HangUp(srv) })
			return mustConnect(t, Target{Transport: mcp.SSE, URL: srv.URL}, Options{})
		},
		"http": func(t *testing.T, f *fixture.Foreign) *Session {
			srv := httptest.NewServer(disguise(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
				return f.Server
			}, nil), &cancelled))
			t.Cleanup(func() { f.HangUp(srv) })
			return mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL}, Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := fixture.NewForeign()
			s := open(t, f)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := call(ctx, s, "hang", nil, nil); !errors.Is(err, agent.CodeDeadlineExceeded) {
				t.Errorf("a call beyond its deadline: %v", err)
			}
			// What was sent after the call was given up is answered after a cancellation would have
			// arrived.
			for range 20 {
				mustCall(t, s, "echo", nil, nil)
			}
			if n := cancelled.Load(); n != 0 {
				t.Errorf("the server got %d cancellations", n)
			}
		})
	}
}
