package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// IDs are those of the trace and the span in ctx, in hexadecimal digits; empty without one.
func IDs(ctx context.Context) (traceID, spanID string) {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return "", ""
	}
	return sc.TraceID().String(), sc.SpanID().String()
}
