package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	goruntime "go.opentelemetry.io/contrib/instrumentation/runtime"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Metrics are the instruments of this process, named by the GenAI, MCP and messaging conventions
// where these have a name. They have one provider; the agent is an attribute. Safe for concurrent
// use; a nil *Metrics is off.
type Metrics struct {
	calls, served *Operations

	meter          metric.Meter
	provider       *sdkmetric.MeterProvider // nil: it is not ours to shut down
	scrape         http.Handler
	clientSessions metric.Float64Histogram
	serverSessions metric.Float64Histogram
	events         events
}

// events are the instruments of events.
type events struct {
	sent, again, dead metric.Int64Counter
	took              metric.Float64Histogram
}

// SetupMetrics makes the instruments where somebody is to have them: they are exported if there is
// an endpoint, and then, or with scraped, [Metrics.Handler] reads them; else they are off. A meter
// provider that the program brings takes the place of both. Shutdown ends what SetupMetrics began.
// offers reports whether an agent has a tool: one that it has not is no attribute.
func SetupMetrics(ctx context.Context, c Config, scraped bool, offers func(agent, tool string) bool) (*Metrics,
	error) {
	c = c.withDefaults()
	m := &Metrics{}
	provider := c.MeterProvider
	if provider == nil {
		own := []sdkmetric.Option{sdkmetric.WithCardinalityLimit(maxSeries)}
		to, err := c.metricsTarget()
		if err != nil || to == nil && !scraped {
			return nil, err
		}
		if to != nil {
			next, err := to.metricExporter(ctx, c.Headers)
			if err != nil {
				return nil, fmt.Errorf("telemetry: export metrics to %s: %w", to.url.Redacted(), err)
			}
			own = append(own, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(
				&metricExporter{Exporter: next, to: to.url.Redacted(), log: c.Logger})))
		}
		registry := prometheus.NewRegistry()
		reader, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo())
		if err != nil {
			return nil, fmt.Errorf("telemetry: make /metrics: %w", err)
		}
		own = append(own, sdkmetric.WithReader(reader))
		// A series that cannot be read costs itself only.
		m.scrape = promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError,
			MaxRequestsInFlight: 4})
		base := c.resource(ctx)
		own = append(own, sdkmetric.WithResource((&services{config: c, base: base}).describe(runtimeService)))
		m.provider = sdkmetric.NewMeterProvider(own...)
		provider = m.provider
		if err := goruntime.Start(goruntime.WithMeterProvider(provider)); err != nil {
			return nil, errors.Join(fmt.Errorf("telemetry: measure the Go runtime: %w", err), m.provider.Shutdown(ctx))
		}
	}
	m.meter = provider.Meter(scope, metric.WithInstrumentationVersion(c.Version))
	if err := m.makeInstruments(offers); err != nil {
		return nil, errors.Join(fmt.Errorf("telemetry: make instruments: %w", err), m.Shutdown(ctx))
	}
	return m, nil
}

// makeInstruments makes those that are told; see [Metrics.Observe] for those that are asked.
func (m *Metrics) makeInstruments(offers func(agent, tool string) bool) error {
	var errs []error
	seconds := func(name, about string, bounds ...float64) metric.Float64Histogram {
		h, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about),
			metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, err)
		return h
	}
	count := func(name, unit, about string) metric.Int64Counter {
		c, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
		errs = append(errs, err)
		return c
	}
	// As the conventions have them.
	bounds := []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}
	m.calls = newOperations(seconds("mcp.client.operation.duration",
		"How long calls of agents took, as their callers saw them.", bounds...), offers)
	m.served = newOperations(seconds("mcp.server.operation.duration",
		"How long requests of the gateway's clients took.", bounds...), offers)
	m.clientSessions = seconds("mcp.client.session.duration", "How long sessions to MCP servers lasted.", bounds...)
	m.serverSessions = seconds("mcp.server.session.duration", "How long sessions of MCP clients lasted.", bounds...)
	m.events = events{
		sent: count("messaging.client.sent.messages", "{message}", "Events that were published."),
		took: seconds("messaging.process.duration", "How long attempts to handle an event took.", 0.005, 0.01, 0.025,
			0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
		again: count("openmas.events.redelivered", "{event}", "Attempts to handle an event after the first."),
		dead:  count("openmas.events.dead_lettered", "{event}", "Events that no attempt could handle."),
	}
	return errors.Join(errs...)
}

// OfCalls measure the calls of agents, as their callers see them.
func (m *Metrics) OfCalls() *Operations {
	if m == nil {
		return nil
	}
	return m.calls
}

// OfClients measure the gateway's part of what its clients ask for.
func (m *Metrics) OfClients() *Operations {
	if m == nil {
		return nil
	}
	return m.served
}

// Handler serves the instruments as Prometheus text; nil: nobody asked for it.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return nil
	}
	return m.scrape
}

// Shutdown exports what was measured, until ctx ends. Safe to call once.
func (m *Metrics) Shutdown(ctx context.Context) error {
	if m == nil || m.provider == nil {
		return nil
	}
	if err := m.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("telemetry: shut down metrics: %w", err)
	}
	return nil
}
