package telemetry

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
)

var (
	asClient   = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
	asServer   = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	asConsumer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
)

// Client makes the caller's span of a call and sends its trace context along in
// [agent.Call.Meta]. A local hop needs no sending: the span is in the context. Later attempts have
// spans of their own: see [Telemetry.Attempt].
//
// A call that is passed on for another process has its caller's span already, and gets no second
// one: see [Telemetry.Relay]. Nor do events: the span of who published one is the parent of each
// handler's.
//
// When telemetry is off, it passes on the trace context of the call that is being served, and costs
// nothing where there is none.
func (t *Telemetry) Client(h Hop) agent.Middleware {
	if !t.On() {
		return passOn
	}
	attrs := append(h.attributes("send"), attribute.Int("openmas.attempts", 1))
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			if c.Op == agent.OpEvent {
				return next.Call(ctx, c)
			}
			relayed := isRelayed(ctx)
			if relayed && (h.Communicator == local || c.Meta[traceparent] != "") {
				return next.Call(ctx, c)
			}
			var span trace.Span = noop.Span{}
			if !relayed {
				ctx, span = t.start(callerContext(ctx, c), c.From.Agent, string(c.Op), asClient)
			}
			if h.Communicator != local {
				c2 := *c
				c2.Meta = inject(ctx, c.Meta)
				c = &c2
			}
			if !span.IsRecording() {
				return next.Call(ctx, c)
			}
			span.SetName(spanName(c)) // not before: most calls may not be sampled
			span.SetAttributes(append(append(callAttributes(c, len(attrs)+1), attrs...), left(ctx)...)...)
			e := ending{span: span, entry: h.Entry}
			if h.mcp() {
				ctx, e.sent = calls.Sent(ctx)
			}
			return t.finish(ctx, e, c, next)
		})
	}
}

// left is how many seconds a call has until its deadline.
func left(ctx context.Context) []attribute.KeyValue {
	if end, ok := ctx.Deadline(); ok {
		return []attribute.KeyValue{attribute.Float64("openmas.deadline.left", time.Until(end).Seconds())}
	}
	return nil
}

// Server makes the callee's span of a call. Its parent is the trace context that the call brought
// along, and a span in the context that is another one becomes a link; on a local hop the span in
// the context is the parent. When telemetry is off, it is the identity.
func (t *Telemetry) Server(h Hop) agent.Middleware {
	if !t.On() {
		return func(next agent.Caller) agent.Caller { return next }
	}
	attrs, events := h.attributes("process"), h
	events.Destination = ""
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			var link trace.SpanContext
			if h.Communicator == local && c.Op != agent.OpEvent {
				ctx = callerContext(ctx, c)
			} else {
				ctx, link = calleeContext(ctx, c)
			}
			kind, service := asServer, h.Service
			if c.Op == agent.OpEvent {
				kind = asConsumer
			}
			if service == "" {
				service = c.Agent
			}
			ctx, span := t.start(ctx, service, string(c.Op), kind)
			if !span.IsRecording() {
				return next.Call(ctx, c)
			}
			if link.IsValid() {
				span.AddLink(trace.Link{SpanContext: link})
			}
			span.SetName(spanName(c))
			own := append(callAttributes(c, len(attrs)+4), attribute.Int("openmas.attempt", max(c.Attempt, 1)))
			if c.Op == agent.OpEvent {
				own = append(append(own, events.attributes("process")...), messaging("process", c.Name)...)
			} else {
				own = append(own, attrs...)
			}
			if came := calls.ArrivedBy(ctx); came != nil {
				own = append(own, requestAttributes(came, "client")...)
				ctx = calls.Arrived(ctx, nil) // it is not what carries the calls below
			}
			span.SetAttributes(append(own, left(ctx)...)...)
			if c.Back != nil {
				c2 := *c
				c2.Back = watched{c.Back, span}
				c = &c2
			}
			return t.finish(ctx, ending{span: span, callee: true, entry: h.Entry}, c, next)
		})
	}
}

// start begins a span of a service. Below a span that is not sampled there is nothing to begin,
// where the parent decides.
func (t *Telemetry) start(ctx context.Context, service, name string, kind []trace.SpanStartOption) (context.Context,
	trace.Span) {
	if t.parentDecides {
		span := trace.SpanFromContext(ctx)
		if sc := span.SpanContext(); sc.IsValid() && !sc.IsSampled() {
			return ctx, span
		}
	}
	return t.tracer(service).Start(ctx, name, kind...)
}

// watched shows a tool's progress on its span.
type watched struct {
	agent.BackChannel
	span trace.Span
}

// Notify implements [agent.BackChannel].
func (w watched) Notify(ctx context.Context, n agent.Notice) {
	if p := n.Progress; p != nil {
		w.span.AddEvent("progress", trace.WithAttributes(attribute.Float64("openmas.progress", p.Progress),
			attribute.Float64("openmas.progress.total", p.Total)))
	}
	w.BackChannel.Notify(ctx, n)
}

// Runner puts an agent's Run in a span of its own, "invoke_agent NAME", the root of a trace. When
// telemetry is off, it returns run.
func (t *Telemetry) Runner(name string, run func(context.Context) error) func(context.Context) error {
	if !t.On() {
		return run
	}
	return func(ctx context.Context) (err error) {
		ctx, span := t.tracer(name).Start(ctx, runName+clean(name), trace.WithNewRoot(), trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "invoke_agent"),
			attribute.String("gen_ai.agent.name", clean(name))))
		e := ending{span: span, callee: true, panicked: true}
		defer func() { t.end(ctx, e) }()
		e.err = run(ctx)
		e.panicked = false
		return e.err
	}
}

// Failed makes a trace of what failed between calls: the handshake with an agent, its pings. What
// succeeds there makes none, and nor does what ended with ctx.
func (t *Telemetry) Failed(ctx context.Context, h Hop, name, method string, began time.Time, err error) {
	if !t.On() || ctx.Err() != nil {
		return
	}
	attrs := append(h.attributes(""), attribute.String("mcp.method.name", method),
		attribute.String("gen_ai.agent.name", clean(name)))
	ctx, span := t.tracer("").Start(ctx, method+" "+clean(name), trace.WithNewRoot(), trace.WithTimestamp(began),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	t.end(ctx, ending{span: span, err: err})
}

// Refused makes the span of a request to the gateway that becomes no call, with why it does not.
// What is done in the context that it returns belongs to it. The name that was asked for is a
// stranger's, and no part of the span's.
func (t *Telemetry) Refused(ctx context.Context, c *agent.Call, why *agent.Error) context.Context {
	if !t.On() {
		return ctx
	}
	ctx, _ = calleeContext(ctx, c)
	method, _, _ := strings.Cut(spanName(c), " ")
	ctx, span := t.start(ctx, "", method, asServer)
	if span.IsRecording() {
		attrs := callAttributes(c, 4)
		if came := calls.ArrivedBy(ctx); came != nil {
			attrs = append(attrs, requestAttributes(came, "client")...)
		}
		span.SetAttributes(attrs...)
		t.end(ctx, ending{span: span, callee: true, err: why})
	}
	return ctx
}

// Attempt begins the span of an attempt at a call, from the second on, below the call's own: it
// carries on its trace context in c. It notes on the call's span how long the attempt had to wait,
// and why the one before it failed. The function that it returns ends the span. When telemetry is
// off, that is nil.
func (t *Telemetry) Attempt(ctx context.Context, h Hop, c *agent.Call, waited time.Duration,
	cause error) (context.Context, func(error)) {
	if !t.On() {
		return ctx, nil
	}
	code := attribute.String("openmas.code", string(agent.CodeOf(cause)))
	wait := attribute.Float64("openmas.retry.waited", waited.Seconds())
	attempt := attribute.Int("openmas.attempt", c.Attempt)
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.Int("openmas.attempts", c.Attempt))
		span.AddEvent("retry", trace.WithAttributes(attempt, wait, code))
	}
	ctx, span := t.start(ctx, c.From.Agent, "attempt", asClient)
	c.Meta = inject(ctx, c.Meta)
	if !span.IsRecording() {
		return ctx, nil
	}
	attrs := append(callAttributes(c, 8), h.attributes("send")...)
	span.SetName(spanName(c))
	span.SetAttributes(append(append(attrs, attempt, wait), left(ctx)...)...)
	e := ending{span: span}
	if h.mcp() {
		ctx, e.sent = calls.Sent(ctx)
	}
	return ctx, func(err error) {
		e.err = err
		t.end(ctx, e)
	}
}
