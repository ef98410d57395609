package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// tokens is an Identify hook: Bearer NAME is that user, !NAME one of our runtimes, =NAME a child of
// ours, .NAME a program that is not.
func tokens(r *http.Request) (Identity, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return Identity{}, agent.Errorf(agent.CodeUnauthenticated, "no token")
	}
	id := agent.Identity{Agent: token[1:]}
	switch token[0] {
	case '!', '=':
		id.Trusted = true
	case '.':
	default:
		id = agent.Identity{User: token}
	}
	return Identity{Identity: id, Relays: token[0] == '!'}, nil
}

// site is a gateway on a real socket.
type site struct {
	*Gateway
	url string
	log *testkit.Buffer
}

func newSite(t *testing.T, dir agent.Directory, o GatewayOptions) *site {
	t.Helper()
	log := &testkit.Buffer{}
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.NoFastPath = o.NoFastPath || fixture.NoFastPath
	g, err := NewGateway(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return &site{g, fixture.Serve(t, g), log}
}

// way is how a client of the official SDK connects.
type way struct {
	transport mcp.Transport
	version   string
	token     string
	path      string // before /sse and /mcp
}

func (w way) String() string { return string(w.transport) + " " + w.version }

// join connects a client of the official SDK. It is closed with the test.
func (s *site) join(t *testing.T, w way, o *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	cs, err := s.tryJoin(t, w, o)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

func (s *site) tryJoin(t *testing.T, w way, o *sdk.ClientOptions) (*sdk.ClientSession, error) {
	t.Helper()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	hc := &http.Client{Transport: fixture.Bearer{Token: w.token, Base: base}}
	var tr sdk.Transport
	switch w.transport {
	case mcp.SSE:
		tr = &sdk.SSEClientTransport{Endpoint: s.url + w.path + "/sse", HTTPClient: hc}
	case mcp.Streamable:
		tr = &sdk.StreamableClientTransport{Endpoint: s.url + w.path + "/mcp", HTTPClient: hc, MaxRetries: -1}
	default:
		tr = fixture.SDKPipes(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
			return s.ServeStdio(ctx, in, out)
		})
	}
	return fixture.ConnectSDK(t, tr, w.version, o)
}

// everyClient is each transport in its oldest and newest version, and as an unpinned client finds
// it.
func everyClient() []way {
	return []way{{mcp.Stdio, codec.Version20241105, "", ""}, {mcp.Stdio, codec.Version20251125, "", ""},
		{mcp.Stdio, "", "", ""},
		{mcp.SSE, codec.Version20241105, "", ""},
		{mcp.SSE, codec.Version20251125, "", ""}, {mcp.SSE, "", "", ""},
		{mcp.Streamable, codec.Version20250326, "", ""}, {mcp.Streamable, codec.Version20251125, "", ""},
		{mcp.Streamable, "", "", ""}}
}
