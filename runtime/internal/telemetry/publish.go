package telemetry

import (
	"context"

	"github.com/openmas/openmas/agent"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Publisher makes the span of each event, "send TOPIC", and sends its trace context along in
// [agent.Event.Meta]; the handlers' spans are its children. system is the broker, as in
// [Hop]. When telemetry is off, it passes on the trace context of the call that is being served.
func (t *Telemetry) Publisher(system string, next agent.Publisher) agent.Publisher {
	return &publisher{t: t, system: system, next: next}
}

type publisher struct {
	t      *Telemetry
	system string
	next   agent.Publisher
}

// Publish implements [agent.Publisher].
func (p *publisher) Publish(ctx context.Context, pub agent.Event) error {
	if !p.t.On() {
		if meta := passed(ctx, pub.Meta); meta != nil {
			pub.Meta = meta
		}
		return p.next.Publish(ctx, pub)
	}
	topic := clean(pub.Topic)
	ctx, span := p.t.tracer.Start(callerContext(ctx, &agent.Call{Meta: pub.Meta}), "send "+topic,
		trace.WithSpanKind(trace.SpanKindProducer))
	pub.Meta = inject(ctx, pub.Meta)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("messaging.system", p.system),
			attribute.String("messaging.operation.name", "send"),
			attribute.String("messaging.operation.type", "send"), attribute.String("messaging.destination.name", topic),
			attribute.String("messaging.message.id", clean(pub.ID)),
			attribute.String("openmas.agent", clean(pub.Source)))
	}
	code := agent.CodeInternal // of a panic
	defer func() { end(span, code) }()
	err := p.next.Publish(ctx, pub)
	code = agent.CodeOf(err)
	return err
}
