package telemetry

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// runtimeService is the service of spans that no agent makes: the runtime is an agent as well.
const runtimeService = "openmas"

// services make the spans of the agents: each has a provider of its own, made on first use, since
// the SDK ties what describes a service to the provider. All share one processor. The names are
// those of the project's agents, so there is no bound but theirs.
type services struct {
	config    Config
	base      *resource.Resource
	processor sdktrace.SpanProcessor
	foreign   trace.Tracer // makes all spans; nil: the providers do

	mu      sync.Mutex
	tracers atomic.Pointer[map[string]trace.Tracer] // replaced, and not changed
}

// tracer makes the spans of a service; of the runtime, where name is empty.
func (s *services) tracer(name string) trace.Tracer {
	if s.foreign != nil {
		return s.foreign
	}
	if name == "" || s.config.PerProcess {
		name = runtimeService
	}
	if all := s.tracers.Load(); all != nil {
		if t := (*all)[name]; t != nil {
			return t
		}
	}
	return s.add(name)
}

func (s *services) add(name string) trace.Tracer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]trace.Tracer{}
	if old := s.tracers.Load(); old != nil {
		if t := (*old)[name]; t != nil {
			return t
		}
		all = maps.Clone(*old)
	}
	all[name] = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(shared{s.processor}),
		sdktrace.WithResource(s.describe(name))).Tracer(scope, trace.WithInstrumentationVersion(s.config.Version))
	s.tracers.Store(&all)
	return all[name]
}

// describe is the resource of a service.
func (s *services) describe(name string) *resource.Resource {
	if s.config.PerProcess {
		return s.base
	}
	own := resource.NewSchemaless(attribute.String("service.name", clean(name)),
		attribute.String("service.instance.id", clean(s.config.Process+"/"+name)))
	out, err := resource.Merge(s.base, own)
	if err != nil { // of schemas only, of which one has none
		return s.base
	}
	return out
}

// shared is the processor of several providers. It is shut down by who made it.
type shared struct{ sdktrace.SpanProcessor }

// Shutdown implements [sdktrace.SpanProcessor].
func (shared) Shutdown(context.Context) error { return nil }

// both hands spans to two processors.
type both [2]sdktrace.SpanProcessor

// OnStart implements [sdktrace.SpanProcessor].
func (b both) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	b[0].OnStart(ctx, s)
	b[1].OnStart(ctx, s)
}

// OnEnd implements [sdktrace.SpanProcessor].
func (b both) OnEnd(s sdktrace.ReadOnlySpan) {
	b[0].OnEnd(s)
	b[1].OnEnd(s)
}

// ForceFlush implements [sdktrace.SpanProcessor].
func (b both) ForceFlush(ctx context.Context) error {
	return errors.Join(b[1].ForceFlush(ctx), b[0].ForceFlush(ctx))
}

// Shutdown implements [sdktrace.SpanProcessor].
func (b both) Shutdown(ctx context.Context) error {
	return errors.Join(b[1].Shutdown(ctx), b[0].Shutdown(ctx))
}

// resource describes this process. What cannot be found out is left out. When the environment names
// a service, all is of that one.
func (c *Config) resource(ctx context.Context) *resource.Resource {
	fromEnv, err := resource.New(ctx, resource.WithFromEnv())
	if name, ok := fromEnv.Set().Value("service.name"); err == nil && ok {
		c.PerProcess, c.ServiceName = true, name.AsString()
	}
	var own []attribute.KeyValue
	for key, value := range map[attribute.Key]string{"service.name": c.ServiceName, "service.instance.id": c.Process,
		"service.namespace": c.Project, "service.version": c.Version} {
		if value != "" {
			own = append(own, key.String(clean(value)))
		}
	}
	// The last one wins.
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(own...), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		c.Logger.WarnContext(ctx, "telemetry: the description of this process is incomplete", "error", err)
	}
	return r
}
