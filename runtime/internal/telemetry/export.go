package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// logEvery is how often there is a line about what is lost, at most.
	logEvery = time.Minute
	// lastExport bounds how long the last export of a process may take: less than a child process
	// has until it gets a signal.
	lastExport = 1500 * time.Millisecond
)

var errAborted = errors.New("telemetry is shutting down")

// losses count what is lost, and are a line in the log once a minute at most.
type losses struct {
	log     *slog.Logger
	message string
	about   []any // attributes of each line

	mu     sync.Mutex
	logged time.Time
	lost   int // since logged
	last   error
}

// note counts n that were lost. Without tell there is no line: see left.
func (l *losses) note(n int, err error, tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost, l.last = l.lost+n, err
	if now := time.Now(); tell && (l.logged.IsZero() || now.Sub(l.logged) >= logEvery) {
		l.log.Warn(l.message, append([]any{"lost", l.lost, "error", err}, l.about...)...)
		l.logged, l.lost = now, 0
	}
}

// left is how many were lost that no line reported, and why the last one was.
func (l *losses) left() (lost int, last error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost, l.lost = l.lost, 0
	return lost, l.last
}

// sending is what exporters share that hand spans or lines to another one: their errors are kept
// from the SDK, which would give each to a handler that is global and prints. A receiver that is
// down is a line a minute.
type sending struct {
	losses
	what, to string

	stopping context.Context
	stop     context.CancelCauseFunc
}

func newSending(what, to string, log *slog.Logger) *sending {
	s := &sending{what: what, to: to, losses: losses{log: log, message: "telemetry: " + what + " were not exported",
		about: []any{"to", to}}}
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	return s
}

// send calls f with a context that ends when abort is called.
func (s *sending) send(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(context.Cause(s.stopping)) })()
	return f(ctx)
}

// abort ends the export that is going on and all later ones.
func (s *sending) abort() { s.stop(errAborted) }

// left is an error if something was lost that no line in the log reported.
func (s *sending) left() error {
	if n, last := s.losses.left(); n > 0 {
		return fmt.Errorf("%d %s were not exported to %s: %w", n, s.what, s.to, last)
	}
	return nil
}

// note counts n that were not sent. Whoever shuts down asks what is left.
func (s *sending) note(n int, err error) { s.losses.note(n, err, s.stopping.Err() == nil) }

// exporter hands spans to another one.
type exporter struct {
	*sending
	next sdktrace.SpanExporter
}

func newExporter(next sdktrace.SpanExporter, to string, log *slog.Logger) *exporter {
	return &exporter{newSending("spans", to, log), next}
}

// ExportSpans implements sdktrace.SpanExporter. It gives up when abort is called.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.send(ctx, func(ctx context.Context) error { return e.next.ExportSpans(ctx, spans) }); err != nil {
		e.note(len(spans), err)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error {
	e.abort() // releases what waits for it; the last export is over
	return e.next.Shutdown(ctx)
}

// End ends a kind of telemetry by its Shutdown, in 1.5 s at most. What is lost then is a
// warning: what the process did is as good as it was.
func End(ctx context.Context, log *slog.Logger, shutdown func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, lastExport)
	defer cancel()
	if err := shutdown(ctx); err != nil {
		log.WarnContext(ctx, "telemetry is incomplete", "error", err)
	}
}
