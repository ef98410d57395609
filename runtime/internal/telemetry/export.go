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

const logEvery = time.Minute

var errAborted = errors.New("telemetry is shutting down")

// exporter hands spans to another one and keeps its errors from the SDK, which would give each to a
// handler that is global and prints: a receiver that is down is a line a minute.
type exporter struct {
	next sdktrace.SpanExporter
	to   string
	log  *slog.Logger

	stopping context.Context
	stop     context.CancelCauseFunc

	mu     sync.Mutex
	logged time.Time
	lost   int // spans since logged
	last   error
}

func newExporter(next sdktrace.SpanExporter, to string, log *slog.Logger) *exporter {
	e := &exporter{next: next, to: to, log: log}
	e.stopping, e.stop = context.WithCancelCause(context.Background())
	return e
}

// ExportSpans implements sdktrace.SpanExporter. It gives up when abort is called.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.stopping, func() { cancel(context.Cause(e.stopping)) })()
	if err := e.next.ExportSpans(ctx, spans); err != nil {
		e.note(len(spans), err)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error {
	e.stop(errAborted) // releases what waits for it; the last export is over
	return e.next.Shutdown(ctx)
}

// abort ends the export that is going on and all later ones.
func (e *exporter) abort() { e.stop(errAborted) }

// lostSpans is an error if spans were lost that no line in the log reported.
func (e *exporter) lostSpans() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lost == 0 {
		return nil
	}
	err := fmt.Errorf("%d spans were not exported to %s: %w", e.lost, e.to, e.last)
	e.lost = 0
	return err
}

func (e *exporter) note(spans int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost, e.last = e.lost+spans, err
	if now := time.Now(); e.stopping.Err() == nil && (e.logged.IsZero() || now.Sub(e.logged) >= logEvery) {
		e.log.Warn("telemetry: spans were not exported", "to", e.to, "spans", e.lost, "error", err)
		e.logged, e.lost = now, 0
	}
}
