package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/internal/logs"
)

// Logs send the log over OTLP: each agent's lines are of its service, and belong to the trace and
// the span that they name. The zero value sends nothing until Start; a nil *Logs never does. Safe
// for concurrent use.
type Logs struct{ sender atomic.Pointer[sender] }

// A sender makes the records of the services, over one queue. What a full queue cannot take is
// dropped, the oldest first.
type sender struct {
	services *services
	queue    *sdklog.BatchProcessor
	exporter *logExporter

	mu      sync.Mutex
	loggers map[string]log.Logger
}

// Start begins the sending where c names a receiver of logs.
func (l *Logs) Start(ctx context.Context, c Config) error {
	c = c.withDefaults()
	if l == nil || c.Provider != nil { // who brings a provider has set its exports up itself
		return nil
	}
	to, err := c.target(signalLogs)
	if err != nil || to == nil {
		return err
	}
	s := &sender{loggers: map[string]log.Logger{}}
	if s.exporter, err = to.logExporter(ctx, c); err != nil {
		return err
	}
	base := c.resource(ctx)
	s.services = &services{config: c, base: base}
	s.queue = sdklog.NewBatchProcessor(s.exporter)
	l.sender.Store(s)
	return nil
}

// Shutdown sends what is in the queue, and ends soon after ctx. Later lines are not sent.
func (l *Logs) Shutdown(ctx context.Context) error {
	if l == nil {
		return nil
	}
	s := l.sender.Swap(nil)
	if s == nil {
		return nil
	}
	defer context.AfterFunc(ctx, s.exporter.abort)() // see [Telemetry.Shutdown]
	err := s.queue.Shutdown(context.WithoutCancel(ctx))
	if err = errors.Join(err, s.exporter.left()); err != nil {
		return fmt.Errorf("telemetry: shut down logs: %w", err)
	}
	return nil
}

// logger makes the records of a service; of the runtime, where name is empty. There are as many as
// the log names agents.
func (s *sender) logger(name string) log.Logger {
	if name == "" || s.services.config.PerProcess {
		name = runtimeService
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.loggers[name]; have != nil {
		return have
	}
	if len(s.loggers) >= maxServices {
		name = runtimeService
	}
	made := sdklog.NewLoggerProvider(sdklog.WithResource(s.services.describe(name)),
		sdklog.WithProcessor(s.queue)).Logger(scope, log.WithInstrumentationVersion(s.services.config.Version))
	s.loggers[name] = made
	return made
}

// maxServices bounds the services of a log, whose lines may have any agent's name.
const maxServices = 4096

// Handler returns the handler that sends lines of a level and above.
func (l *Logs) Handler(level slog.Leveler) slog.Handler { return logHandler{to: l, level: level} }

type logHandler struct {
	to     *Logs
	level  slog.Leveler
	prefix string // of keys: the groups, each with a dot
	attrs  []attribute.KeyValue
}

// Enabled implements [slog.Handler].
func (h logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.level.Level() && h.to.sender.Load() != nil
}

// Handle implements [slog.Handler]. It does not wait.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	s := h.to.sender.Load()
	if s == nil {
		return nil
	}
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = appendAttr(attrs, h.prefix, a)
		return true
	})
	var traceID, spanID, name string
	attrs = slices.DeleteFunc(attrs, func(a attribute.KeyValue) bool {
		switch a.Key {
		case "trace_id":
			traceID = a.Value.AsString()
		case "span_id":
			spanID = a.Value.AsString()
		case "agent":
			name = a.Value.AsString()
			return false
		default:
			return false
		}
		return true
	})
	var rec log.Record
	rec.SetTimestamp(r.Time)
	rec.SetSeverity(severity(r.Level))
	rec.SetSeverityText(logs.LevelName(r.Level))
	rec.SetBody(attribute.StringValue(clean(r.Message)))
	rec.AddAttributes(attrs...)
	s.logger(name).Emit(inSpan(ctx, traceID, spanID), rec)
	return nil
}

// WithAttrs implements [slog.Handler].
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		h.attrs = appendAttr(h.attrs, h.prefix, a)
	}
	return h
}

// WithGroup implements [slog.Handler].
func (h logHandler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.prefix += name + "."
	}
	return h
}

// severity is OpenTelemetry's number of a level: both have four between one name and the next.
func severity(l slog.Level) log.Severity {
	return min(max(log.SeverityInfo+log.Severity(l), log.SeverityTrace), log.SeverityFatal4)
}

// inSpan is ctx in the span that a line names. A line about a span that has ended names it, and its
// context is that of a caller above.
func inSpan(ctx context.Context, traceID, spanID string) context.Context {
	t, err := trace.TraceIDFromHex(traceID)
	if err != nil {
		return ctx
	}
	s, _ := trace.SpanIDFromHex(spanID) // a line may know the trace only
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: t, SpanID: s,
		TraceFlags: trace.FlagsSampled}))
}

// appendAttr appends what slog has under a key, as JSON has it: durations in seconds.
func appendAttr(to []attribute.KeyValue, prefix string, a slog.Attr) []attribute.KeyValue {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return to
	}
	key := clean(prefix + a.Key)
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, in := range v.Group() {
			to = appendAttr(to, prefix, in)
		}
		return to
	case slog.KindBool:
		return append(to, attribute.Bool(key, v.Bool()))
	case slog.KindInt64:
		return append(to, attribute.Int64(key, v.Int64()))
	case slog.KindFloat64:
		return append(to, attribute.Float64(key, v.Float64()))
	case slog.KindDuration:
		return append(to, attribute.Float64(key, v.Duration().Seconds()))
	}
	return append(to, attribute.String(key, clean(strings.TrimSpace(v.String()))))
}
