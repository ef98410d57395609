package telemetry

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/openmas/openmas/internal/traces"
)

// failed reports whether a span is about something that went wrong, wherever the fault was.
func failed(s sdktrace.ReadOnlySpan) bool {
	if s.Status().Code == codes.Error {
		return true
	}
	return slices.ContainsFunc(s.Attributes(), func(kv attribute.KeyValue) bool { return kv.Key == "openmas.code" })
}

// encoded are spans as a line of OTLP in JSON.
func encoded(in []sdktrace.ReadOnlySpan) ([]byte, error) {
	resources := map[string]map[string]any{}
	spans := make([]traces.Span, 0, len(in))
	for _, s := range in {
		service := s.Resource().String()
		if resources[service] == nil {
			resources[service] = plain(s.Resource().Attributes())
		}
		out := traces.Span{TraceID: s.SpanContext().TraceID().String(), ID: s.SpanContext().SpanID().String(),
			Name: s.Name(), Kind: int(s.SpanKind()), Start: s.StartTime(), End: s.EndTime(),
			Attributes: plain(s.Attributes()), Failed: s.Status().Code == codes.Error, Message: s.Status().Description,
			Resource: resources[service]}
		if s.Parent().SpanID().IsValid() {
			out.Parent = s.Parent().SpanID().String()
		}
		for _, e := range s.Events() {
			out.Events = append(out.Events, traces.Event{Name: e.Name, Time: e.Time, Attributes: plain(e.Attributes)})
		}
		spans = append(spans, out)
	}
	slices.SortStableFunc(spans, func(a, b traces.Span) int {
		return strings.Compare(a.Service(), b.Service())
	})
	return traces.Append(nil, spans)
}

func plain(attrs []attribute.KeyValue) map[string]any {
	out := make(map[string]any, len(attrs))
	for _, kv := range attrs {
		out[string(kv.Key)] = kv.Value.AsInterface()
	}
	return out
}
