package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/agent"
)

// IDs are those of the trace and the span in ctx, in hexadecimal digits; empty without one.
func IDs(ctx context.Context) (traceID, spanID string) {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return "", ""
	}
	return sc.TraceID().String(), sc.SpanID().String()
}

// TraceParent is the span of ctx as W3C trace context; empty where it is not recorded.
func TraceParent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	out := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, out)
	return out[traceparent]
}

// named is an error that names the trace of ctx.
func named(ctx context.Context, err error) error {
	told := *agent.AsError(err)
	told.Trace = TraceParent(ctx)
	return &told
}
