// Package telemetry makes OpenTelemetry spans of calls: one at the caller, one at the callee, in
// one trace over every communicator, named by the GenAI, MCP and messaging conventions. What a call
// carries and what it gives, arguments, results, URIs and the texts of errors, is never recorded.
//
// It keeps its own tracer provider: nothing global of OpenTelemetry is read or changed.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/openmas/openmas"

// Config is where spans go and who sends them.
type Config struct {
	// Endpoint is the base URL of an OTLP receiver ("http://127.0.0.1:4318"). Empty:
	// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT says it, or there are no
	// spans. A receiver over HTTP is sent to /v1/traces below it.
	Endpoint string
	// Protocol is "http" or "grpc"; empty: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL or
	// OTEL_EXPORTER_OTLP_PROTOCOL, or http.
	Protocol string
	// Headers are sent with each export; empty: those of OTEL_EXPORTER_OTLP_HEADERS. Their values
	// are secrets.
	Headers map[string]string
	// ServiceName, Instance and Project become service.name, service.instance.id and
	// service.namespace, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise.
	ServiceName, Instance, Project string
	// Environ looks up the variables named here, OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER; nil is
	// os.LookupEnv. What the SDK reads itself (OTEL_TRACES_SAMPLER, OTEL_BSP_*, timeouts,
	// certificates) is always the environment of the process.
	Environ func(key string) (value string, ok bool)
	// Logger gets a line when spans cannot be exported, one a minute at most; nil drops it.
	Logger *slog.Logger
	// Exporter, if not nil, gets the spans in place of an OTLP receiver. It is shut down with the
	// Telemetry.
	Exporter sdktrace.SpanExporter
}

// Telemetry makes spans, or none when it is off. Safe for concurrent use; a nil *Telemetry is off.
type Telemetry struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	exporter *exporter
}

// Setup makes the telemetry that c asks for; it is off when nothing names an endpoint. It does not
// connect: a receiver that is not there is found out by exporting, and logged. Shutdown ends what
// Setup began.
func Setup(ctx context.Context, c Config) (*Telemetry, error) {
	if c.Environ == nil {
		c.Environ = os.LookupEnv
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	to, next := "the given exporter", c.Exporter
	if next == nil {
		target, err := c.target()
		if err != nil {
			return nil, err
		}
		if target == nil {
			return &Telemetry{}, nil
		}
		if next, err = target.exporter(ctx, c.Headers); err != nil {
			return nil, fmt.Errorf("telemetry: export to %s: %w", target.url.Redacted(), err)
		}
		to = target.url.Redacted()
	}
	exp := newExporter(next, to, c.Logger)
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exp), sdktrace.WithResource(c.resource(ctx)))
	return &Telemetry{provider: provider, tracer: provider.Tracer(scope), exporter: exp}, nil
}

// resource describes this process. What cannot be found out is left out.
func (c Config) resource(ctx context.Context) *resource.Resource {
	var own []attribute.KeyValue
	for key, value := range map[attribute.Key]string{"service.name": c.ServiceName, "service.instance.id": c.Instance,
		"service.namespace": c.Project} {
		if value != "" {
			own = append(own, key.String(clean(value)))
		}
	}
	// The last one wins.
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(own...),
		resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		c.Logger.WarnContext(ctx, "telemetry: the description of this process is incomplete", "error", err)
	}
	return r
}

// On reports whether spans are made.
func (t *Telemetry) On() bool { return t != nil && t.tracer != nil }

// Flush exports the spans that have ended.
func (t *Telemetry) Flush(ctx context.Context) error {
	if !t.On() {
		return nil
	}
	if err := t.provider.ForceFlush(ctx); err != nil {
		return fmt.Errorf("telemetry: flush: %w", err)
	}
	return nil
}

// Shutdown exports the spans that have ended and closes the exporter. It returns soon after ctx
// ends, and says how many spans were not exported since the last line in the log about it; give it
// a deadline. Safe to call twice; later spans are dropped.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if !t.On() {
		return nil
	}
	// Given ctx itself, the SDK would leave its goroutine behind when ctx ends. So the exporter is
	// told, and the goroutine waited for.
	defer context.AfterFunc(ctx, t.exporter.abort)()
	err := t.provider.Shutdown(context.WithoutCancel(ctx))
	if err = errors.Join(err, t.exporter.lostSpans()); err != nil {
		return fmt.Errorf("telemetry: shut down: %w", err)
	}
	return nil
}
