package bridge

import (
	"net/http"
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
	return &site{g, fixture.Serve(t, g)}
}

// tokens is an Identify hook: Bearer NAME is that user.
func tokens(r *http.Request) (server.Identity, error) {
	name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return server.Identity{}, agent.Errorf(agent.CodeUnauthenticated, "no token")
	}
	return server.Identity{Identity: agent.Identity{User: name}}, nil
}
