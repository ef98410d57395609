package telemetry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/internal/rotate"
)

const (
	// slow is how long a span takes at least whose trace is kept.
	slow = time.Second
	// freely is how many of the other traces are kept each second, and one of share those beyond:
	// chosen by the trace's id, so that all processes choose the same.
	freely, share = 20, 100
	// maxOpen bounds the spans in memory of traces that are not decided on, and maxTogether those
	// of one trace; maxWaiting those that are not written yet. What is beyond a bound is decided
	// on early, or lost.
	maxOpen, maxTogether, maxWaiting = 2048, 256, 4096
	// maxKept is how many traces are remembered that are kept: what comes later of them is too.
	maxKept = 1024
)

// errSlow is why spans find the queue full.
var errSlow = errors.New("the disk is slower than the calls")

// recent keeps the spans of recent traces in files: of all that failed or were slow, and of a share
// of the rest. It decides on the part of a trace that is in this process when all its spans have
// ended. It is a sdktrace.SpanProcessor.
type recent struct {
	files  *rotate.Writer
	losses losses

	mu      sync.Mutex
	open    map[trace.TraceID]*part
	spans   int // of all parts
	waiting int // spans in queue
	dropped int // spans that found it full, and that are not reported
	kept    map[trace.TraceID]bool
	order   []trace.TraceID // of kept, a ring
	next    int
	second  int64 // since when traces are counted
	counted int
	closed  bool

	queue   chan written
	stopped chan struct{}
}

// part is what is known of a trace in this process.
type part struct {
	running int
	ended   []sdktrace.ReadOnlySpan
	keep    bool
}

// written is what is to be written, and what is told afterwards.
type written struct {
	spans []sdktrace.ReadOnlySpan
	done  chan struct{}
}

func newRecent(files *rotate.Writer, log *slog.Logger) *recent {
	files.Open()
	r := &recent{files: files, losses: losses{log: log, message: "recent traces are incomplete",
		about: []any{"key", "telemetry.recent"}}, open: map[trace.TraceID]*part{}, kept: map[trace.TraceID]bool{},
		order: make([]trace.TraceID, maxKept), queue: make(chan written, maxWaiting), stopped: make(chan struct{})}
	go r.write()
	return r
}

// runName begins the name of the span of a Run.
const runName = "invoke_agent "

// isRun reports whether a span is that of a Runner, which lasts as long as the process.
func isRun(name string) bool { return strings.HasPrefix(name, runName) }

// OnStart implements sdktrace.SpanProcessor.
func (r *recent) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	if isRun(s.Name()) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := s.SpanContext().TraceID()
	p := r.open[id]
	if p == nil {
		if len(r.open) >= maxOpen {
			return // it is decided on alone
		}
		p = &part{}
		r.open[id] = p
	}
	p.running++
}

// OnEnd implements sdktrace.SpanProcessor.
func (r *recent) OnEnd(s sdktrace.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := s.SpanContext().TraceID()
	p := r.open[id]
	if p == nil {
		p = &part{}
	} else if !isRun(s.Name()) {
		p.running--
	}
	p.ended = append(p.ended, s)
	r.spans++
	p.keep = p.keep || failed(s) || s.EndTime().Sub(s.StartTime()) >= slow && !isRun(s.Name())
	if p.running <= 0 || len(p.ended) >= maxTogether || r.spans > maxOpen {
		r.decide(id, p)
	}
	if p.running <= 0 {
		delete(r.open, id)
	}
}

// decide keeps the spans of a part, or drops them.
func (r *recent) decide(id trace.TraceID, p *part) {
	r.spans -= len(p.ended)
	spans := p.ended
	p.ended = nil
	if len(spans) == 0 || r.closed || !p.keep && !r.kept[id] && !r.sampled(id) {
		return
	}
	p.keep = true
	r.remember(id)
	if r.waiting+len(spans) <= maxWaiting {
		select {
		case r.queue <- written{spans: spans}:
			r.waiting += len(spans)
			return
		default:
		}
	}
	r.dropped += len(spans)
}

func (r *recent) sampled(id trace.TraceID) bool {
	if now := time.Now().Unix(); now != r.second {
		r.second, r.counted = now, 0
	}
	r.counted++
	return r.counted <= freely || binary.BigEndian.Uint64(id[8:])%share == 0
}

func (r *recent) remember(id trace.TraceID) {
	if r.kept[id] {
		return
	}
	delete(r.kept, r.order[r.next])
	r.order[r.next] = id
	r.kept[id] = true
	r.next = (r.next + 1) % maxKept
}

// write writes until the queue ends.
func (r *recent) write() {
	defer close(r.stopped)
	for w := range r.queue {
		if len(w.spans) > 0 {
			r.mu.Lock()
			r.waiting -= len(w.spans)
			dropped := r.dropped
			r.dropped = 0
			r.mu.Unlock()
			if dropped > 0 {
				r.losses.note(dropped, errSlow, true)
			}
			line, err := encoded(w.spans)
			if err == nil {
				_, err = r.files.Write(line)
			}
			if err != nil {
				r.losses.note(len(w.spans), err, true)
			}
		}
		if w.done != nil {
			close(w.done)
		}
	}
}

// ForceFlush implements sdktrace.SpanProcessor: what was decided on is written.
func (r *recent) ForceFlush(ctx context.Context) error {
	done := make(chan struct{})
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	select {
	case r.queue <- written{done: done}:
		r.mu.Unlock()
	default: // full: there is more to write than can be waited for
		r.mu.Unlock()
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown implements sdktrace.SpanProcessor. It decides on what is left, and waits for what is
// written.
func (r *recent) Shutdown(context.Context) error {
	r.mu.Lock()
	if !r.closed {
		for id, p := range r.open {
			r.decide(id, p)
		}
		r.closed = true
		close(r.queue)
	}
	r.mu.Unlock()
	<-r.stopped
	if r.dropped > 0 {
		r.losses.note(r.dropped, errSlow, false)
	}
	err := r.files.Close()
	if n, last := r.losses.left(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d spans of recent traces were not kept: %w", n, last))
	}
	return err
}
