package telemetry

import (
	"context"
	"maps"
	"strings"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/agent"
)

// The keys of W3C trace context and baggage in [agent.Call.Meta].
const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
	baggageKey  = "baggage"
)

// maxPassed bounds what is passed on unread; W3C allows no more for baggage, and less for the
// others.
const maxPassed = 8192

var w3cKeys = [...]string{traceparent, tracestate, baggageKey}

// inject returns meta with the span of ctx and its baggage in it, in place of others that meta may
// hold. It does not change meta.
func inject(ctx context.Context, meta map[string]string) map[string]string {
	out := make(map[string]string, len(meta)+len(w3cKeys))
	for k, v := range meta {
		if k != traceparent && k != tracestate && k != baggageKey {
			out[k] = v
		}
	}
	propagation.TraceContext{}.Inject(ctx, propagation.MapCarrier(out))
	if bag := baggage.FromContext(ctx); bag.Len() > 0 {
		out[baggageKey] = bag.String()
	}
	return out
}

// callerContext is the context in which a caller's span of c begins. Its parent is the span of ctx;
// else the one that c itself brings along, as a call does that entered the system with it; else
// that of the call which is being served in ctx.
func callerContext(ctx context.Context, c *agent.Call) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	if out, ok := extract(ctx, c.Meta); ok {
		return out
	}
	if served := agent.CallFrom(ctx); served != nil {
		out, _ := extract(ctx, served.Meta)
		return out
	}
	return ctx
}

// calleeContext is the context in which a callee's span of c begins: its parent is what the call
// brings along. The ambient span of ctx, of an HTTP request say, is then returned as a link, if it
// is another; without a parent in the call it is the parent.
func calleeContext(ctx context.Context, c *agent.Call) (context.Context, trace.SpanContext) {
	ambient := trace.SpanContextFromContext(ctx)
	out, ok := extract(ctx, c.Meta)
	if !ok || !ambient.IsValid() {
		return out, trace.SpanContext{}
	}
	if parent := trace.SpanContextFromContext(out); parent.SpanID() == ambient.SpanID() &&
		parent.TraceID() == ambient.TraceID() {
		return ctx, trace.SpanContext{}
	}
	return out, ambient
}

// extract puts what meta brings along into ctx, and reports whether that includes a valid parent.
// Malformed parts of it are ignored.
func extract(ctx context.Context, meta map[string]string) (context.Context, bool) {
	if len(meta) == 0 {
		return ctx, false
	}
	if b := meta[baggageKey]; b != "" {
		// Not with propagation.Baggage: it hands a stranger's malformed baggage to a global error
		// handler.
		if bag, _ := baggage.Parse(b); bag.Len() > 0 {
			ctx = baggage.ContextWithBaggage(ctx, bag)
		}
	}
	if meta[traceparent] == "" {
		return ctx, false
	}
	out := propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(meta))
	return out, out != ctx // it gives ctx back when there is nothing valid
}

// Wants returns what reports whether a span may be recorded of a call with the metadata: only then
// it is of interest what carried the call. nil: of none.
func (t *Telemetry) Wants() func(meta map[string]string) bool {
	if !t.On() {
		return nil
	}
	return func(meta map[string]string) bool {
		p := meta[traceparent] // the flags are the end of version 00
		return !t.parentDecides || !strings.HasPrefix(p, "00-") || !strings.HasSuffix(p, "-00")
	}
}

// Relay stands where calls of other processes arrive that are passed on. A call of one of our own
// has its caller's span there: the callee's becomes a child of that, as do later attempts, and
// nothing comes in between. When telemetry is off, it is the identity.
func (t *Telemetry) Relay(next agent.Caller) agent.Caller {
	if !t.On() {
		return next
	}
	return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		if c.From.Trusted && c.Op != agent.OpEvent {
			if out, ok := extract(ctx, c.Meta); ok {
				ctx = context.WithValue(out, relayKey{}, trace.SpanContextFromContext(out))
			}
		}
		return next.Call(ctx, c)
	})
}

type relayKey struct{}

// isRelayed reports whether the span of ctx is that of a call which is passed on.
func isRelayed(ctx context.Context) bool {
	now := trace.SpanContextFromContext(ctx)
	if !now.IsRemote() {
		return false
	}
	then, ok := ctx.Value(relayKey{}).(trace.SpanContext)
	return ok && then.Equal(now)
}

// passOn is what becomes of a caller when telemetry is off: the trace of the call that is being
// served goes on with the calls made for it, unread. Without a trace it does nothing.
func passOn(next agent.Caller) agent.Caller {
	return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		if meta := passed(ctx, c.Meta); meta != nil {
			c2 := *c
			c2.Meta = meta
			c = &c2
		}
		return next.Call(ctx, c)
	})
}

// passed is meta with what the call being served in ctx brought along; nil when there is nothing to
// add to meta.
func passed(ctx context.Context, meta map[string]string) map[string]string {
	served := agent.CallFrom(ctx)
	if served == nil || len(served.Meta) == 0 || meta[traceparent] != "" {
		return nil
	}
	var out map[string]string
	for _, k := range w3cKeys {
		v := served.Meta[k]
		if v == "" || len(v) > maxPassed || meta[k] != "" {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(meta)+len(w3cKeys))
			maps.Copy(out, meta)
		}
		out[k] = v
	}
	return out
}
