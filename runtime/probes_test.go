package runtime_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

// slowStart is up when it is let.
type slowStart struct{ let chan struct{} }

func (slowStart) Capabilities() agent.Capabilities { return agent.Capabilities{} }

// Start implements [agent.Starter].
func (s slowStart) Start(ctx context.Context, _ agent.Env) error {
	select {
	case <-s.let:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Probes are answered without a gateway, from before the agents start. A scraper's token tells why
// the system is not ready, and calls no tool.
func TestProbes(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	cfg := &project.Config{Agents: map[string]project.Agent{"slow": {Type: "slow"}},
		Ops: &project.Ops{Listen: "127.0.0.1:0", Token: "of-the-only-scraper"}}
	s := prepare(t, cfg, agent.Types{"slow": func() agent.Agent { return slowStart{let} }})
	s.run()
	testkit.Eventually(t, "the agent starts", func() bool { return strings.Contains(s.Status().WaitsFor, "slow") })
	url := s.Status().Ops
	known := map[string]string{"Authorization": "bearer of-the-only-scraper"}
	check := func(method, path string, header map[string]string, want int, text string) {
		t.Helper()
		got, body := ask(t, method, url+path, "", header)
		if got != want || !strings.Contains(body, text) {
			t.Errorf("%s %s: %d %s, want %d %s", method, path, got, body, want, text)
		}
		if want == http.StatusServiceUnavailable && header == nil && strings.Contains(body, "slow") {
			t.Errorf("a stranger is told: %s", body)
		}
	}
	check(http.MethodGet, "/livez", nil, 200, `"ok"`)
	check(http.MethodGet, "/readyz", nil, 503, `"not ready"`)
	check(http.MethodGet, "/readyz", known, 503, "waits for slow")
	close(let)
	testkit.Receive(t, s.Ready())
	check(http.MethodGet, "/readyz", nil, 200, `"ok"`)
	check(http.MethodPost, "/readyz", nil, 405, "read")
	check(http.MethodGet, "/livez", map[string]string{"Host": "evil.example.org"}, 403, "forbidden")
	check(http.MethodGet, "/livez", map[string]string{"Origin": "https://evil.example.org"}, 403, "forbidden")
	for _, path := range []string{"/", "/mcp", "/sse", "/messages/", "/agents/openmas/mcp"} {
		check(http.MethodGet, path, known, 404, "/readyz")
		check(http.MethodPost, path, known, 404, "/readyz")
	}
}
