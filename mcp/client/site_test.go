package client

import (
	"log/slog"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/server"
)

// newSite is a gateway of ours on a real socket, and its URL.
func newSite(t *testing.T, dir agent.Directory) (*server.Gateway, string) {
	t.Helper()
	g, err := server.NewGateway(dir, server.GatewayOptions{Options: server.Options{NoFastPath: fixture.NoFastPath,
		Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	return g, fixture.Serve(t, g)
}
