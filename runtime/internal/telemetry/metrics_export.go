package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metricsTarget is the receiver of metrics; nil when there is none. A program that brings a
// provider of traces has set its exports up itself.
func (c Config) metricsTarget() (*target, error) {
	if c.Provider != nil {
		return nil, nil
	}
	return c.target(signalMetrics)
}

func (t *target) metricExporter(ctx context.Context, headers map[string]string) (sdkmetric.Exporter, error) {
	if t.grpc {
		opts := []otlpmetricgrpc.Option{otlpmetricgrpc.WithEndpointURL(t.url.String())}
		if len(headers) > 0 {
			opts = append(opts, otlpmetricgrpc.WithHeaders(headers))
		}
		return otlpmetricgrpc.New(ctx, opts...)
	}
	opts := []otlpmetrichttp.Option{otlpmetrichttp.WithEndpointURL(t.url.String())}
	if len(headers) > 0 {
		opts = append(opts, otlpmetrichttp.WithHeaders(headers))
	}
	return otlpmetrichttp.New(ctx, opts...)
}

// metricExporter keeps an exporter's errors from the SDK, which would give each to a handler that
// is global and prints: a receiver that is down is a line a minute. One that takes no metrics, as
// Jaeger, is a line once, and is asked no more.
type metricExporter struct {
	sdkmetric.Exporter
	to  string
	log *slog.Logger

	mu     sync.Mutex
	logged time.Time
	off    bool
}

// Export implements [sdkmetric.Exporter].
func (e *metricExporter) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	e.mu.Lock()
	off := e.off
	e.mu.Unlock()
	if off {
		return nil
	}
	err := e.Exporter.Export(ctx, rm)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.off = takesNone(err); e.off {
		e.log.InfoContext(ctx, "telemetry: the receiver of traces takes no metrics; none are sent", "to", e.to)
	} else if now := time.Now(); e.logged.IsZero() || now.Sub(e.logged) >= logEvery {
		e.log.WarnContext(ctx, "telemetry: metrics were not exported", "to", e.to, "error", err)
		e.logged = now
	}
	return nil
}

// takesNone reports whether there is no such service at the receiver.
func takesNone(err error) bool {
	return status.Code(err) == codes.Unimplemented || strings.Contains(err.Error(), "404 Not Found")
}
