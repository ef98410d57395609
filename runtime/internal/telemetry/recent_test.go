package telemetry

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/internal/rotate"
	"github.com/openmas/openmas/internal/traces"
)

// keptSpans are what the files have, by name.
func keptSpans(t *testing.T, state string) map[string]int {
	t.Helper()
	names := map[string]int{}
	r := rotate.Reader{Dir: filepath.Join(state, TracesFolder)}
	_, err := r.Next(0, func(l rotate.Line) bool {
		spans, err := traces.Parse(l.Text)
		if err != nil {
			t.Error(err)
		}
		for _, s := range spans {
			names[s.Name]++
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// All traces with failures are kept, with what went well in them, all slow ones, and a share of the
// rest; a trace that does not end keeps no memory.
func TestWhichTracesAreKept(t *testing.T) {
	state := t.TempDir()
	tel, err := Setup(t.Context(), Config{State: state, Recent: 8 << 20, Process: "p", Project: "crew",
		Environ: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	r := tel.services.processor.(*recent)
	tracer := tel.tracer("a")
	const n = 3000
	for i := range n {
		_, span := tracer.Start(context.Background(), "well")
		span.End()
		if i%100 != 0 {
			continue
		}
		ctx, root := tracer.Start(context.Background(), "root")
		_, fine := tracer.Start(ctx, "fine")
		fine.End()
		_, bad := tracer.Start(ctx, "bad")
		bad.SetStatus(codes.Error, "so it is")
		bad.End()
		root.End()
	}
	_, slowly := tracer.Start(context.Background(), "slow", trace.WithTimestamp(time.Now().Add(-2*slow)))
	slowly.End()
	run, runs := tracer.Start(context.Background(), runName+"a")
	for range 5 {
		_, below := tracer.Start(run, "below")
		below.SetStatus(codes.Error, "again")
		below.End()
	}
	if err := tel.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := keptSpans(t, state); got["below"] != 5 {
		t.Errorf("below a Run that goes on: %v", got)
	}
	for range 10 * maxTogether { // of a trace that has no end
		_, span := tracer.Start(run, "many")
		span.End()
	}
	r.mu.Lock()
	if len(r.open) > 1 || r.spans > maxTogether {
		t.Errorf("%d traces and %d spans in memory", len(r.open), r.spans)
	}
	r.mu.Unlock()
	runs.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := keptSpans(t, state)
	if got["root"] != n/100 || got["fine"] != n/100 || got["bad"] != n/100 || got["slow"] != 1 ||
		got[runName+"a"] != 1 {
		t.Errorf("kept: %v", got)
	}
	if got["well"] < freely || got["well"] > n/4 {
		t.Errorf("%d of %d others are kept", got["well"], n)
	}
}

func TestWithoutRecentNothingIsKept(t *testing.T) {
	state := t.TempDir()
	tel, err := Setup(t.Context(), Config{State: state, Recent: -1,
		Environ: func(string) (string, bool) { return "", false }})
	if err != nil || tel.On() {
		t.Fatalf("on: %v, %v", tel.On(), err)
	}
	if len(keptSpans(t, state)) > 0 {
		t.Error("something is kept")
	}
}

// What the disk is too slow for is counted: a line a minute at most, and the end tells the rest.
func TestSpansBeyondTheQueueOfRecentTraces(t *testing.T) {
	var log bytes.Buffer
	tel, err := Setup(t.Context(), Config{State: t.TempDir(), Recent: 8 << 20, Process: "p",
		Environ: func(string) (string, bool) { return "", false }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r := tel.services.processor.(*recent)
	ends := func(n int, full bool) {
		t.Helper()
		r.mu.Lock()
		before := r.waiting
		if full {
			r.waiting = maxWaiting
		}
		r.mu.Unlock()
		for range n {
			_, span := tel.tracer("a").Start(t.Context(), "bad")
			span.SetStatus(codes.Error, "so it is")
			span.End()
		}
		if full {
			r.mu.Lock()
			r.waiting = before
			r.mu.Unlock()
			return
		}
		if err := tel.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ends(30, true)
	ends(1, false)
	ends(5, true)
	ends(1, false)
	ends(2, true)
	if err := tel.Shutdown(t.Context()); err == nil || !strings.Contains(err.Error(), "7 spans") {
		t.Errorf("the end says %v", err)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "lost=30") ||
		!strings.Contains(got, "key=telemetry.recent") {
		t.Errorf("the log has\n%s", got)
	}
}
