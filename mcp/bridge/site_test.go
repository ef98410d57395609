package bridge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/server"
)

// site is a gateway on a real socket.
type site struct {
	*server.Gateway
	url string
}

func newSite(t *testing.T, dir agent.Directory, o server.Options) *site {
	t.Helper()
	o.Logger, o.NoFastPath = fixture.Quiet, fixture.NoFastPath
	g, err := server.NewGateway(dir, server.GatewayOptions{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), fixture.Patience)
		defer cancel()
		if err := g.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
		srv.Close()
	})
	return &site{g, srv.URL}
}

// tokens is an Identify hook: Bearer NAME is that user.
func tokens(r *http.Request) (server.Identity, error) {
	name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return server.Identity{}, agent.Errorf(agent.CodeUnauthenticated, "no token")
	}
	return server.Identity{Identity: agent.Identity{User: name}}, nil
}
