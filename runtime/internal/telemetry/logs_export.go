package telemetry

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

func (t *target) logExporter(ctx context.Context, c Config) (*logExporter, error) {
	var next sdklog.Exporter
	var err error
	if t.grpc {
		opts := []otlploggrpc.Option{otlploggrpc.WithEndpointURL(t.url.String())}
		if len(c.Headers) > 0 {
			opts = append(opts, otlploggrpc.WithHeaders(c.Headers))
		}
		next, err = otlploggrpc.New(ctx, opts...)
	} else {
		opts := []otlploghttp.Option{otlploghttp.WithEndpointURL(t.url.String())}
		if len(c.Headers) > 0 {
			opts = append(opts, otlploghttp.WithHeaders(c.Headers))
		}
		next, err = otlploghttp.New(ctx, opts...)
	}
	if err != nil {
		return nil, fmt.Errorf("telemetry: export logs to %s: %w", t.url.Redacted(), err)
	}
	return &logExporter{Exporter: next, sending: newSending("lines of the log", t.url.Redacted(), c.Logger)}, nil
}

// logExporter keeps an exporter's errors from the SDK. A receiver that takes no logs, as Jaeger, is
// a line once, and is asked no more.
type logExporter struct {
	sdklog.Exporter
	*sending
	off bool // the SDK does not call Export concurrently
}

// Export implements [sdklog.Exporter].
func (e *logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	if e.off {
		return nil
	}
	err := e.send(ctx, func(ctx context.Context) error { return e.Exporter.Export(ctx, records) })
	switch {
	case err == nil:
	case takesNone(err):
		e.off = true
		e.log.InfoContext(ctx, "telemetry: the receiver takes no logs; none are sent", "to", e.to)
	case !slices.ContainsFunc(records, func(r sdklog.Record) bool { return r.Body().AsString() != e.message }):
		// only lines like the one that this would be
	default:
		e.note(len(records), err)
	}
	return nil
}

// Shutdown implements [sdklog.Exporter].
func (e *logExporter) Shutdown(ctx context.Context) error {
	e.abort() // releases what waits for it; the last export is over
	return e.Exporter.Shutdown(ctx)
}
