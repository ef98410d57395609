package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/agent"
)

// Client makes the caller's span of a call, all its attempts included, and sends its trace context
// along in [agent.Call.Meta]. A local hop needs no sending: the span is in the context.
//
// When telemetry is off, it passes on the trace context of the call that is being served, and costs
// nothing where there is none.
func (t *Telemetry) Client(h Hop) agent.Middleware {
	if !t.On() {
		return passOn
	}
	start, attrs := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}, h.attributes()
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			ctx, span := t.tracer.Start(callerContext(ctx, c), string(c.Op), start...)
			if h.Communicator != local {
				c2 := *c
				c2.Meta = inject(ctx, c.Meta)
				c = &c2
			}
			if !span.IsRecording() {
				return next.Call(ctx, c)
			}
			span.SetName(spanName(c)) // not before: most calls may not be sampled
			span.SetAttributes(append(append(callAttributes(c, len(attrs)+1), attrs...),
				attribute.Int("openmas.attempts", 1))...)
			return finish(ctx, span, c, next)
		})
	}
}

// Server makes the callee's span of a call. Its parent is the trace context that the call brought
// along, and a span in the context that is another one becomes a link; on a local hop the span in
// the context is the parent. When telemetry is off, it is the identity.
func (t *Telemetry) Server(h Hop) agent.Middleware {
	if !t.On() {
		return func(next agent.Caller) agent.Caller { return next }
	}
	server := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	consumer := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
	attrs := h.attributes()
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			var link trace.SpanContext
			if h.Communicator == local {
				ctx = callerContext(ctx, c)
			} else {
				ctx, link = calleeContext(ctx, c)
			}
			kind := server
			if h.Communicator == pubsub || c.Op == agent.OpEvent {
				kind = consumer
			}
			ctx, span := t.tracer.Start(ctx, string(c.Op), kind...)
			if !span.IsRecording() {
				return next.Call(ctx, c)
			}
			if link.IsValid() {
				span.AddLink(trace.Link{SpanContext: link})
			}
			span.SetName(spanName(c))
			span.SetAttributes(append(append(callAttributes(c, len(attrs)+1), attrs...),
				attribute.Int("openmas.attempt", max(c.Attempt, 1)))...)
			return finish(ctx, span, c, next)
		})
	}
}

// finish makes the call and ends its span, after a panic too.
func finish(ctx context.Context, span trace.Span, c *agent.Call, next agent.Caller) (res *agent.Result, err error) {
	code := agent.CodeInternal // of a panic
	defer func() { end(span, code) }()
	res, err = next.Call(ctx, c)
	code = agent.CodeOf(err)
	return res, err
}

// end ends a span with its code, empty for success. The text of an error may quote arguments, so it
// is left out.
func end(span trace.Span, code agent.Code) {
	if code != "" {
		span.SetAttributes(attribute.String("error.type", string(code)))
		span.SetStatus(codes.Error, string(code))
	}
	span.End()
}

// Runner puts an agent's Run in a span of its own, "invoke_agent NAME", the root of a trace. When
// telemetry is off, it returns run.
func (t *Telemetry) Runner(name string, run func(context.Context) error) func(context.Context) error {
	if !t.On() {
		return run
	}
	name = clean(name)
	return func(ctx context.Context) (err error) {
		ctx, span := t.tracer.Start(ctx, "invoke_agent "+name, trace.WithNewRoot(), trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "invoke_agent"), attribute.String("gen_ai.agent.name", name),
			attribute.String("openmas.agent", name)))
		code := agent.CodeInternal
		defer func() { end(span, code) }()
		err = run(ctx)
		code = agent.CodeOf(err)
		return err
	}
}

// AddRetryEvent notes on the caller's span in ctx that the call is made again: which attempt it is,
// from 2 on, how long it had to wait, and why the one before it failed.
func (t *Telemetry) AddRetryEvent(ctx context.Context, attempt int, waited time.Duration, cause error) {
	if !t.On() {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.Int("openmas.attempts", attempt))
	span.AddEvent("retry", trace.WithAttributes(attribute.Int("openmas.attempt", attempt),
		attribute.Float64("openmas.retry.waited", waited.Seconds()),
		attribute.String("error.type", string(agent.CodeOf(cause)))))
}
