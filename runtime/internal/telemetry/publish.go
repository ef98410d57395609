package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/agent"
)

var asProducer = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer)}

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
	ctx, span := p.t.start(callerContext(ctx, &agent.Call{Meta: pub.Meta}), pub.Source, "send "+topic, asProducer)
	pub.Meta = inject(ctx, pub.Meta)
	if !span.IsRecording() {
		return p.next.Publish(ctx, pub)
	}
	span.SetAttributes(append(messaging("send", topic), attribute.String("messaging.system", p.system),
		attribute.String("messaging.message.id", clean(pub.ID)),
		attribute.Int("messaging.message.body.size", len(pub.Payload)),
		attribute.String("gen_ai.agent.name", clean(pub.Source)))...)
	e := ending{span: span, panicked: true}
	defer func() { p.t.end(ctx, e) }()
	e.err = p.next.Publish(ctx, pub)
	e.panicked = false
	return e.err
}
