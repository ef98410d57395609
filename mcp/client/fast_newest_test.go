package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// TestFastPathWithoutHandshake: what a server of protocol 2026-07-28 sees of our calls, and what
// our callers get from it.
func TestFastPathWithoutHandshake(t *testing.T) {
	type seen struct {
		header http.Header
		meta   any
	}
	var last atomic.Pointer[seen]
	f := fixture.NewForeign()
	city := json.RawMessage(`{"type":"object","properties":{"city":{"type":"string","x-mcp-header":"City"}}}`)
	f.AddTool(&sdk.Tool{Name: "where", InputSchema: city},
		func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			header := r.Extra.Header.Get("Mcp-Param-City")
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: header}}}, nil
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
		if env.Scan(body) && string(env.Method) == codec.MethodCall && json.Unmarshal(env.Params, &p) == nil {
			header := r.Header.Clone()
			header.Del("Content-Length")
			last.Store(&seen{header, p.Meta})
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { f.HangUp(srv) })
	for _, trusted := range []bool{false, true} {
		target := Target{Name: "fix", Transport: mcp.Streamable, URL: srv.URL, Protocol: codec.Version20260728,
			Trusted: trusted,
			Headers: map[string]string{"X-Own": "1"}}
		on, off := mustConnect(t, target, Options{}), mustConnect(t, target, Options{NoFastPath: true})
		for _, c := range []struct {
			tool, in string
			sdk      bool
		}{{tool: "echo", in: `{"n":1}`}, {tool: "meta", in: `{}`}, {tool: "fail", in: `{}`}, {tool: "nobody", in: `{}`},
			{tool: "where", in: `{"city":"Rome"}`, sdk: true}, {tool: "no\u00efve", in: `{}`, sdk: true}} {
			before := on.FastCalls()
			got, gotErr := call(t.Context(), on, c.tool, json.RawMessage(c.in), nil)
			gotSeen := last.Load()
			want, wantErr := call(t.Context(), off, c.tool, json.RawMessage(c.in), nil)
			if fixture.MustJSON(t, got) != fixture.MustJSON(t, want) ||
				fixture.MustJSON(t, agent.AsError(gotErr)) != fixture.MustJSON(t,
					agent.AsError(wantErr)) {
				t.Errorf("%s: %s %v, want %s %v", c.tool, fixture.MustJSON(t, got), gotErr, fixture.MustJSON(t, want),
					wantErr)
			}
			if wantSeen := last.Load(); !reflect.DeepEqual(gotSeen, wantSeen) {
				t.Errorf("%s: the server sees\n%s\nwant\n%s", c.tool,
					fixture.MustJSON(t, []any{gotSeen.header, gotSeen.meta}),
					fixture.MustJSON(t, []any{wantSeen.header, wantSeen.meta}))
			}
			if n := on.FastCalls() - before; !fixture.NoFastPath && n == 1 == c.sdk {
				t.Errorf("%s: %d calls took the fast path", c.tool, n)
			}
		}
	}
}

// TestCancellationInTheNewestVersion: on stdio a notice does it, over HTTP the end of the
// connection.
func TestCancellationInTheNewestVersion(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	g, url := newSite(t, dir)
	for name, connect := range map[string]func(t *testing.T) *Session{
		"http": func(t *testing.T) *Session {
			return mustConnect(t, Target{Name: "site", Transport: mcp.Streamable, URL: url + "/mcp",
				Protocol: codec.Version20260728}, Options{})
		},
		"stdio": func(t *testing.T) *Session {
			near, far := pipes(t)
			ended := make(chan error, 1)
			go func() { ended <- g.ServeStdio(context.Background(), far.Reader, far.Writer) }()
			t.Cleanup(func() { _ = near.Writer.Close(); fixture.Receive(t, "the end", ended) })
			return overPipes(t, near, Target{Name: "site", Protocol: codec.Version20260728}, Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, before := connect(t), g.FastCalls()
			p.Cancels(t, func(ctx context.Context) error {
				_, err := call(ctx, s, "echo_wait", fixture.Word{Word: "w"}, nil)
				return err
			})
			if n := g.FastCalls() - before; n != 1 && !fixture.NoFastPath {
				t.Errorf("%d calls took the fast path", n)
			}
		})
	}
}
