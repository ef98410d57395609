package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// ways are how a fixture is reached.
var ways = map[string]func(t *testing.T, f *fixture.Foreign, target Target, o Options) *Session{
	"stdio": func(t *testing.T, f *fixture.Foreign, target Target, o Options) *Session {
		near, far := pipes(t)
		ctx, cancel := context.WithCancel(context.Background())
		var serving sync.WaitGroup
		serving.Go(func() {
			_ = f.Run(ctx, &sdk.IOTransport{Reader: far.Reader, Writer: far.Writer}) // how it ends is up to the client
		})
		t.Cleanup(func() { cancel(); serving.Wait() })
		return overPipes(t, near, target, o)
	},
	"sse": func(t *testing.T, f *fixture.Foreign, target Target, o Options) *Session {
		srv := httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return f.Server }, nil))
		t.Cleanup(func() { f.HangUp(srv) })
		target.Transport, target.URL = mcp.SSE, srv.URL
		return mustConnect(t, target, o)
	},
	"http": func(t *testing.T, f *fixture.Foreign, target Target, o Options) *Session {
		o2 := &sdk.StreamableHTTPOptions{Stateless: target.Protocol == codec.Version20260728}
		srv := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, o2))
		t.Cleanup(func() { f.HangUp(srv) })
		target.Transport, target.URL = mcp.Streamable, srv.URL
		return mustConnect(t, target, o)
	},
}

// everyWay runs test over each transport.
func everyWay(t *testing.T, target Target, o Options, test func(t *testing.T, f *fixture.Foreign, s *Session)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			f := fixture.NewForeign()
			test(t, f, way(t, f, target, o))
		})
	}
}

// pipe is one end of two pipes.
type pipe struct {
	Reader io.ReadCloser
	Writer io.WriteCloser
}

func pipes(t *testing.T) (near, far pipe) {
	t.Helper()
	r1, w1, err := os.Pipe()
	r2, w2, err2 := os.Pipe()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // who uses them closes them; this is for tests that fail early
		for _, c := range []io.Closer{r1, w1, r2, w2} {
			_ = c.Close()
		}
	})
	return pipe{r1, w2}, pipe{r2, w1}
}

// overPipes is a session to whoever holds the far end.
func overPipes(t *testing.T, p pipe, target Target, o Options) *Session {
	t.Helper()
	s, err := connectPipes(t.Context(), p, target, o)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	return s
}

func connectPipes(ctx context.Context, p pipe, target Target, o Options) (*Session, error) {
	target.Transport = mcp.Stdio
	if o.Logger == nil {
		o.Logger = fixture.Quiet
	}
	o = o.WithDefaults()
	o.NoFastPath = o.NoFastPath || fixture.NoFastPath
	line := wire.NewLine(p.Reader, p.Writer, wire.LineOptions{MaxFrame: o.MaxFrame, Logger: fixture.Quiet})
	ctx, cancel := context.WithTimeoutCause(ctx, o.HandshakeTimeout, errHandshake)
	defer cancel()
	ctx, said := withNote(ctx)
	l := &link{transport: line, conn: line, line: line}
	s, err := open(ctx, target, o, l, cmp.Or(target.Protocol, codec.Version20251125), &steps{}, said)
	if err != nil {
		return nil, explain(ctx, &target, o, l, said, "", err)
	}
	return s, nil
}

func mustConnect(t testing.TB, target Target, o Options) *Session {
	t.Helper()
	if o.NoFastPath = o.NoFastPath || fixture.NoFastPath; o.Logger == nil {
		o.Logger = fixture.Quiet
	}
	s, err := Connect(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	return s
}

func closeAtEnd(t testing.TB, s *Session) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), fixture.Patience)
		defer cancel()
		if err := s.Close(ctx); err != nil && !t.Failed() && !strings.Contains(err.Error(), "was killed") {
			t.Errorf("close: %v", err)
		}
	})
}

// call calls a tool of the session.
func call(ctx context.Context, s *Session, tool string, in any, back agent.BackChannel) (*agent.Result, error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return s.Call(ctx, &agent.Call{ID: "call-" + tool, Op: agent.OpTool, Agent: "fixture", Name: tool, Input: raw,
		From: agent.Identity{Agent: "tester"}, Attempt: 1, Back: back})
}

func mustCall(t *testing.T, s *Session, tool string, in any, back agent.BackChannel) *agent.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
	defer cancel()
	res, err := call(ctx, s, tool, in, back)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return res
}

func await[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(fixture.Patience):
		t.Fatalf("waited %v for %s", fixture.Patience, what)
	}
	return v
}
