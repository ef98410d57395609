package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/openmas/openmas/agent"
)

func scraped(t testing.TB, c Config) *Metrics {
	t.Helper()
	if c.Environ == nil {
		c.Environ = func(string) (string, bool) { return "", false }
	}
	m, err := SetupMetrics(t.Context(), c, true, listed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return m
}

func read(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// Off, nothing is made, and nil does nothing.
func TestMetricsAreOff(t *testing.T) {
	m, err := SetupMetrics(t.Context(), Config{Environ: func(string) (string, bool) {
		return "", false
	}}, false, listed)
	if m != nil || err != nil {
		t.Fatalf("%v, %v", m, err)
	}
	c := &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}
	err = errors.New("x")
	if n := testing.AllocsPerRun(100, func() {
		m.OfCalls().Record(t.Context(), c, "local", time.Second, err)
		m.Sent(t.Context(), "memory", "t", err)
		m.Handled(t.Context(), "memory", "a", "t", 2, time.Second, err)
		m.ClientSession(t.Context(), "a", "mcp-sse", time.Second, err)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if m.Handler() != nil || m.Observe(nil) != nil || m.Shutdown(t.Context()) != nil {
		t.Error("it is not off")
	}
}

// listed are the tools of the tests.
func listed(_, tool string) bool { return !strings.HasPrefix(tool, "made-up") }

// Whatever callers make up, an instrument has at most 2,000 series, and a call that is measured
// again allocates nothing.
func TestSeriesAreBounded(t *testing.T) {
	m := scraped(t, Config{})
	record := func(name string, err error) {
		c := &agent.Call{Op: agent.OpTool, Agent: "a", Name: name}
		m.OfCalls().Record(t.Context(), c, "local", time.Second, err)
	}
	notFound := agent.Errorf(agent.CodeNotFound, "no such tool")
	for i := range 3 * maxSeries {
		for _, err := range []error{nil, notFound, agent.Errorf(agent.CodeUnavailable, "it is down")} {
			record(fmt.Sprintf("made-up-%d", i), err)
		}
	}
	record("reads", nil)
	record("reads", notFound)
	text := read(m)
	if n := strings.Count(text, "mcp_client_operation_duration_seconds_count"); n != 5 ||
		strings.Contains(text, "made-up") {
		t.Errorf("%d series:\n%s", n, text)
	}
	for i := range 3 * maxSeries {
		record(fmt.Sprintf("tool-%d", i), nil)
	}
	text = read(m)
	if n := strings.Count(text, "mcp_client_operation_duration_seconds_count"); n > maxSeries || n < maxSeries/2 {
		t.Errorf("%d series", n)
	}
	if n := testing.AllocsPerRun(100, func() { record("reads", nil) }); n > 1 { // the test's call
		t.Errorf("%v allocations", n)
	}
}

// takes counts what is exported, and fails.
type takes struct {
	metricExporter
	err   error
	asked atomic.Int64
}

func (e *takes) Export(context.Context, *metricdata.ResourceMetrics) error {
	e.asked.Add(1)
	return e.err
}

// A receiver that is down is a line a minute, one that takes no metrics is asked once.
func TestExportOfMetricsFails(t *testing.T) {
	var log strings.Builder
	for text, want := range map[string]int64{"connection refused": 3, "failed to send to x: 404 Not Found": 1} {
		log.Reset()
		next := &takes{err: errors.New(text)}
		e := &metricExporter{Exporter: next, to: "x", log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 3 {
			if err := e.Export(t.Context(), &metricdata.ResourceMetrics{}); err != nil {
				t.Errorf("the SDK is told: %v", err)
			}
		}
		if n := next.asked.Load(); n != want || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("%s: asked %d times, want %d, the log:\n%s", text, n, want, &log)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	m := scraped(b, Config{})
	c := &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}
	b.ReportAllocs()
	for b.Loop() {
		m.OfCalls().Record(b.Context(), c, "local", time.Second, nil)
	}
}

// BenchmarkScrape is what one scrape costs of a system with 200 series of calls.
func BenchmarkScrape(b *testing.B) {
	m := scraped(b, Config{})
	for i := range 200 {
		m.OfCalls().Record(b.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: fmt.Sprint(i)}, "local",
			time.Second, nil)
	}
	for b.Loop() {
		read(m)
	}
}
