package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/budget"
)

// LineOptions configures a [Line]. Zero values select the defaults.
type LineOptions struct {
	// Server is set where this end is a server: it answers an unreadable message with a JSON-RPC
	// error. A client only logs it, since servers print other things to their stdout too, and
	// understands messages that are not a line of their own.
	Server bool
	// MaxFrame is the largest message in bytes, in either direction; DefaultMaxFrame. A larger one
	// is not sent, and one that is received fails its own call.
	MaxFrame int
	// MaxQueue is how many bytes may wait for the peer before Write waits too; 1 MiB.
	MaxQueue int
	// Linger is how long calls in flight may run on after the end of the input, so that
	// `printf … | server` gets its answers; 0 cancels them at once.
	Linger time.Duration
	// MaxUnanswered is how many requests of the peer may have no answer at once. More are refused.
	// 0: any number.
	MaxUnanswered int
	// KeepReader leaves the reader open on Close: what still comes is read and dropped until the
	// owner of the reader closes it, so that a program that is being stopped does not block on a
	// full pipe. The owner then waits for Finished.
	KeepReader bool
	Logger     *slog.Logger // slog.Default()
}

const (
	flushTimeout = time.Second     // for what is queued when a connection is closed
	closeTimeout = 2 * time.Second // for a reader and a writer to return after they were closed
)

// Line is a connection of newline-delimited JSON, over stdio or pipes.
//
// Write queues a message and returns; a [Trace] reports whether it was sent. Write waits only while
// the queue is full, and no longer than its context. The connection ends with the input, or soon
// after a failed write.
type Line struct {
	core
	opts LineOptions
	r    io.Reader
	w    io.Writer
	out  *outbox
	in   lineInput

	inputDone, outputDone, finished chan struct{} // closed when the goroutines have ended

	closing  sync.Once
	closeErr error
}

var _ Conn = (*Line)(nil)

// NewLine returns a connection over r and w that starts with Connect. Close closes r and w where
// they are io.Closers; if they cannot be closed, or a blocked Read or Write does not return when
// they are, Close reports that after two seconds.
func NewLine(r io.Reader, w io.Writer, o LineOptions) *Line {
	o.MaxFrame = orDefault(o.MaxFrame, DefaultMaxFrame)
	o.MaxQueue = orDefault(o.MaxQueue, defaultMaxQueue)
	l := &Line{opts: o, r: r, w: w, out: newOutbox("", "\n", o.MaxQueue), inputDone: make(chan struct{}),
		outputDone: make(chan struct{}), finished: make(chan struct{})}
	l.init(o.Logger)
	l.unanswered = o.MaxUnanswered
	l.in.core, l.in.r, l.in.server, l.in.limit, l.in.reply = &l.core, r, o.Server, o.MaxFrame, l.out.tryPut
	l.in.say = func(msg []byte) { _ = l.out.put(context.Background(), nil, msg) } // it fails when the connection ends
	l.in.junk.log, l.in.junk.kind, l.in.junk.done = l.log, "line", l.done
	return l
}

// Connect implements [sdk.Transport]. It starts reading and writing.
func (l *Line) Connect(context.Context) (sdk.Connection, error) {
	if err := l.connect(); err != nil {
		return nil, err
	}
	// Finished reports the end of all three, and Close waits for it.
	go func() { defer close(l.inputDone); l.readAll() }()
	go func() { defer close(l.outputDone); l.writeAll() }()
	go func() { defer close(l.finished); <-l.inputDone; <-l.outputDone }()
	return l, nil
}

// SessionID implements [sdk.Connection]; a line has none.
func (l *Line) SessionID() string { return "" }

// Junk is how many lines came so far that are no messages.
func (l *Line) Junk() int64 { return l.in.junk.total.Load() }

// LastJunk is the last of these lines, at most 200 bytes; empty: there was none.
func (l *Line) LastJunk() string {
	if last := l.in.junk.last.Load(); last != nil {
		return *last
	}
	return ""
}

// Finished is closed when the last goroutine of a connected line has ended.
func (l *Line) Finished() <-chan struct{} { return l.finished }

// Write implements [sdk.Connection]. See [Line] and [NotSentError].
func (l *Line) Write(ctx context.Context, msg jsonrpc.Message) error {
	resp, answer := msg.(*jsonrpc.Response)
	cancelled := false
	if answer {
		cancelled = l.answering(resp.ID)
		defer l.Release()
	}
	data, t, err := l.outbound(ctx, msg, l.opts.MaxFrame)
	if data == nil {
		return err
	}
	if cancelled {
		data = nil // it gets no answer
	}
	if !answer {
		return l.out.put(ctx, t, data)
	}
	for _, frame := range l.in.batches.answer(resp, data, l.opts.MaxFrame) {
		err = errors.Join(err, l.out.put(ctx, nil, frame))
	}
	return err
}

// SetBudget has messages that wait to be sent count in a budget. Call it before Connect.
func (l *Line) SetBudget(b *budget.Budget) { l.out.memory = b }

// WriteRaw implements [Conn].
func (l *Line) WriteRaw(ctx context.Context, msg []byte) error {
	if err := checkRaw(msg, l.opts.MaxFrame); err != nil {
		return err
	}
	return l.out.put(ctx, traceOf(ctx), msg)
}

// writeAll sends what is queued until the outbox is closed and empty, or a write fails.
func (l *Line) writeAll() {
	for range l.out.wake {
		last := l.out.failure() != nil // before what is queued is taken: more may come until then
		if err := l.out.flush(l.w); err != nil {
			l.writeFailed(fmt.Errorf("write to the peer: %w", err))
			return
		}
		if last {
			return
		}
	}
}

// writeFailed ends the connection, but first lets the answers be read that the peer sent before it
// left.
func (l *Line) writeFailed(err error) {
	l.out.close(err)
	within(flushTimeout, l.done)
	l.end(err)
}

// Close implements [sdk.Connection]: Read and waiting Writes return at once; what is queued has a
// second to be sent. It waits for the goroutines of the connection (except, with KeepReader, the
// one that reads).
func (l *Line) Close() error {
	l.closing.Do(func() {
		l.abort(ErrClosed)
		l.out.close(ErrClosed)
		started := l.connected.Swap(true)
		if !started {
			close(l.inputDone)
			close(l.outputDone)
			close(l.finished)
		}
		within(flushTimeout, l.outputDone)
		errs := []error{closeStream("output", l.w)}
		if !l.opts.KeepReader {
			errs = append(errs, closeStream("input", l.r))
		}
		if !within(closeTimeout, l.outputDone) {
			errs = append(errs, errors.New("a write to the peer is stuck"))
		}
		if !l.opts.KeepReader && !within(closeTimeout, l.inputDone) {
			errs = append(errs, errors.New("a read from the peer is stuck"))
		}
		l.closeErr = errors.Join(errs...)
	})
	return l.closeErr
}

func closeStream(name string, s any) error {
	c, ok := s.(io.Closer)
	if !ok {
		return nil
	}
	if err := c.Close(); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("close the %s: %w", name, err)
	}
	return nil
}

// readAll reads messages until the input ends or the connection does.
func (l *Line) readAll() {
	err := l.in.readMessages()
	if errors.Is(err, io.EOF) {
		err = ErrPeerClosed
		if l.opts.Linger > 0 {
			select {
			case <-l.Idle():
			case <-time.After(l.opts.Linger):
			case <-l.done:
			}
		}
		if cause := l.out.failure(); cause != nil && !errors.Is(cause, ErrClosed) {
			err = fmt.Errorf("%w (%w)", ErrPeerClosed, cause) // what failed first is the reason
		}
	}
	l.out.close(err) // or an answer that waits for room would keep the SDK from closing
	l.end(err)
	if l.opts.KeepReader {
		_, _ = io.Copy(io.Discard, l.r)
	}
}
