// Package telemetry makes OpenTelemetry spans of calls: one at the caller, one at the callee, in
// one trace over every communicator, named by the GenAI, MCP and messaging conventions. Each agent
// is a service of its own. What a call carries and what it gives is recorded only where the project
// asks for it, and never with a secret of the project in it.
//
// It keeps its own tracer providers: nothing global of OpenTelemetry is read or changed.
package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry makes spans, or none when it is off. Safe for concurrent use; a nil *Telemetry is off.
type Telemetry struct {
	content  string
	mask     func(string) string
	services *services
	exporter *exporter // nil: the spans are not ours to export
	// parentDecides: what is below a span that is not sampled is not sampled either.
	parentDecides bool
}

// Setup makes the telemetry that c asks for; it is off when nothing names an endpoint. It does not
// connect: a receiver that is not there is found out by exporting, and logged. Shutdown ends what
// Setup began.
func Setup(ctx context.Context, c Config) (*Telemetry, error) {
	c = c.withDefaults()
	t := &Telemetry{content: cmp.Or(c.Content, ContentErrors), mask: c.Mask, services: &services{}}
	if c.Provider != nil {
		t.services.foreign = c.Provider.Tracer(scope)
		return t, nil
	}
	to, next := "the given exporter", c.Exporter
	if next == nil {
		target, err := c.target(signalTraces)
		if err != nil {
			return nil, err
		}
		switch {
		case target == nil && c.keepsRecent(false):
			t.describe(ctx, c)
			t.services.processor = c.recent()
			return t, nil
		case target == nil:
			return &Telemetry{}, nil
		}
		if next, err = target.exporter(ctx, c.Headers); err != nil {
			return nil, fmt.Errorf("telemetry: export to %s: %w", target.url.Redacted(), err)
		}
		to = target.url.Redacted()
	}
	t.exporter = newExporter(next, to, c.Logger)
	t.describe(ctx, c)
	t.services.processor = sdktrace.NewBatchSpanProcessor(t.exporter, soon)
	if c.keepsRecent(true) {
		t.services.processor = both{t.services.processor, c.recent()}
	}
	return t, nil
}

// exportDelay is how long a span that has ended waits for others to be exported with it, unless
// OTEL_BSP_SCHEDULE_DELAY says so: a process that is killed loses so much.
const exportDelay = time.Second

func soon(o *sdktrace.BatchSpanProcessorOptions) {
	if os.Getenv("OTEL_BSP_SCHEDULE_DELAY") == "" {
		o.BatchTimeout = exportDelay
	}
}

// describe notes what the providers are made with.
func (t *Telemetry) describe(ctx context.Context, c Config) {
	t.parentDecides = c.parentDecides()
	t.services.base = c.resource(ctx)
	t.services.config = c
}

// On reports whether spans are made.
func (t *Telemetry) On() bool { return t != nil && t.services != nil }

// tracer makes the spans of an agent; of the runtime, where name is empty.
func (t *Telemetry) tracer(name string) trace.Tracer { return t.services.tracer(name) }

// Flush exports the spans that have ended.
func (t *Telemetry) Flush(ctx context.Context) error {
	if !t.On() || t.services.processor == nil {
		return nil
	}
	if err := t.services.processor.ForceFlush(ctx); err != nil {
		return fmt.Errorf("telemetry: flush: %w", err)
	}
	return nil
}

// Shutdown exports the spans that have ended and closes the exporter. It returns soon after ctx
// ends, and says how many spans were not exported since the last line in the log about it; give it
// a deadline. Safe to call twice; later spans are dropped.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	switch {
	case !t.On() || t.services.processor == nil:
		return nil
	case t.exporter == nil:
		return t.services.processor.Shutdown(ctx)
	}
	// Given ctx itself, the SDK would leave its goroutine behind when ctx ends. So the exporter is
	// told, and the goroutine waited for.
	defer context.AfterFunc(ctx, t.exporter.abort)()
	err := t.services.processor.Shutdown(context.WithoutCancel(ctx))
	if err = errors.Join(err, t.exporter.left()); err != nil {
		return fmt.Errorf("telemetry: shut down: %w", err)
	}
	return nil
}
