package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// clumsy cannot handle an event.
type clumsy struct{}

func (clumsy) Capabilities() agent.Capabilities {
	return agent.Capabilities{Subscriptions: []agent.Subscription{
		agent.On("spilt", func(context.Context, note) error { return errors.New("not again") })}}
}

// scrape reads /metrics.
func scrape(t *testing.T, s *system, header map[string]string) string {
	t.Helper()
	code, text := ask(t, http.MethodGet, s.Status().Ops+"/metrics", "", header)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	return text
}

// A scraper sees each call by agent, tool and code, what clients of the gateway asked for, events
// and instances; and every series that an alert of the documentation asks for.
func TestMetrics(t *testing.T) {
	t.Parallel()
	cfg := pair(project.OverPubSub)
	cfg.Agents["clumsy"] = project.Agent{Type: "clumsy"}
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
	cfg.Ops = &project.Ops{Listen: "127.0.0.1:0", Token: "of-the-only-scraper"}
	s := start(t, cfg, agent.Types{"clumsy": func() agent.Agent { return clumsy{} }})
	if _, err := agent.Ask[string](s.ctx, "near.relay", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Ask[string](s.ctx, "far.fail", nil); err == nil {
		t.Fatal("it did not fail")
	}
	for _, name := range []string{"made-up-1", "made-up-2"} {
		_, _ = agent.Ask[string](s.ctx, "near."+name, nil)
	}
	session := connect(t, s.Status().URL+"/mcp")
	if _, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "far_who",
		Arguments: map[string]any{}}); err != nil {
		t.Fatal(err)
	}
	if err := agent.Publish(s.Context(t.Context()), "spilt", note{}); err != nil {
		t.Fatal(err)
	}
	if code, _ := ask(t, http.MethodGet, s.Status().Ops+"/metrics", "", nil); code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", code)
	}
	known := map[string]string{"Authorization": "Bearer of-the-only-scraper"}
	testkit.Eventually(t, "the event is dead", func() bool {
		return has(scrape(t, s, known), `openmas_events_dead_lettered_total 1 clumsy spilt`)
	})
	text := scrape(t, s, known)
	for _, want := range []string{
		`mcp_client_operation_duration_seconds_count 1 near relay tools/call execute_tool local`,
		`mcp_client_operation_duration_seconds_count 2 far who pubsub`,
		`mcp_client_operation_duration_seconds_count 1 far fail tool_error tool_failed`,
		`mcp_client_operation_duration_seconds_count 2 near not_found`,
		`mcp_server_operation_duration_seconds_count 1 far who`,
		`openmas_sessions_open 1 mcp-http tcp`,
		`messaging_client_sent_messages_total 1 spilt memory send`,
		`messaging_process_duration_seconds_count 3 clumsy spilt memory process`,
		`openmas_events_redelivered_total 2 clumsy spilt`,
		`openmas_calls_in_flight 0 far`, `openmas_calls_queued 0 far`, `openmas_instances 1 far ready`,
		`openmas_retries_total 0 far`, `openmas_restarts_total 0 far`, `openmas_reconnects_total 0 far`,
		`target_info 1 openmas test`,
	} {
		if !has(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(text, "made-up") {
		t.Error("names that callers made up are series")
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "the session has been measured", func() bool {
		return has(scrape(t, s, known), "mcp_server_session_duration_seconds_count 1 mcp-http")
	})
	page, err := os.ReadFile("../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`\b(openmas|mcp|messaging|go|target)_[a-z0-9_]+`).FindAllString(string(page), -1)
	if len(asked) < 10 {
		t.Errorf("the alerts ask for %q only", asked)
	}
	for _, name := range asked {
		isLabel := regexp.MustCompile(`[{,]` + name + `="`).MatchString(text)
		if !isLabel && !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("docs/reference/metrics.md asks for %s, which is not there", name)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// has reports whether there is a sample whose name and value are the first two words of want, and
// whose labels have the others as values.
func has(text, want string) bool {
	words := strings.Fields(want)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, labels, ok := strings.Cut(line, "{")
		if !ok || name != words[0] || !strings.HasSuffix(line, "} "+words[1]) {
			continue
		}
		all := true
		for _, value := range words[2:] {
			all = all && strings.Contains(labels, `="`+value+`"`)
		}
		if all {
			return true
		}
	}
	return false
}

// A program that has OpenTelemetry set up gets the instruments in its own provider, and /metrics is
// not there.
func TestMeterProviderOfTheProgram(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	cfg := pair(project.OverLocal)
	cfg.Ops = &project.Ops{Listen: "127.0.0.1:0"}
	s := start(t, cfg, nil, func(o *runtime.Options) { o.MeterProvider = provider })
	if _, err := agent.Ask[string](s.ctx, "near.relay", nil); err != nil {
		t.Fatal(err)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = true
		}
	}
	if !found["mcp.client.operation.duration"] || !found["openmas.instances"] {
		t.Errorf("measured: %v", found)
	}
	if code, text := ask(t, http.MethodGet, s.Status().Ops+"/metrics", "", nil); code != http.StatusNotFound {
		t.Errorf("/metrics: %d %s", code, text)
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if err := provider.Shutdown(t.Context()); err != nil { // nobody else did
		t.Error(err)
	}
}

// Where there is a receiver of traces, metrics go there too.
func TestMetricsOverOTLP(t *testing.T) {
	t.Parallel()
	got := receiveSpans(t)
	cfg := pair(project.OverLocal)
	cfg.Telemetry.Endpoint = got.url
	s := start(t, cfg, nil)
	if _, err := agent.Ask[string](s.ctx, "near.relay", nil); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	for _, want := range []string{"mcp.client.operation.duration", "relay", "go.goroutine.count"} {
		if !bytes.Contains(got.metrics, []byte(want)) {
			t.Errorf("the receiver has no %s", want)
		}
	}
}
