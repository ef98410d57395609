package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// LineOptions configures a [Line]. Zero values select the defaults.
type LineOptions struct {
	// Server says that the SDK's server is on this end: an unreadable message is answered with a
	// JSON-RPC error. A client only logs it, since programs that speak MCP on stdout print other
	// things there too.
	Server bool
	// MaxFrame is the largest message in bytes, in either direction; DefaultMaxFrame. An outgoing
	// one above it is refused and nothing is sent; an incoming one ends the connection.
	MaxFrame int
	// MaxQueue is how many bytes may wait for the peer before Write waits too; 1 MiB.
	MaxQueue int
	// MaxGarbage is how many unreadable messages in a row end the connection; 1000.
	MaxGarbage int
	// Linger is how long, after the end of the input, calls in flight may still be answered; 0
	// cancels them at once. With it `printf … | server` gets its answers.
	Linger time.Duration
	// KeepReader leaves the reader open on Close: what still comes is read and dropped until its
	// owner closes it. A program that is being stopped can so say its last words. The owner then
	// waits for Finished.
	KeepReader bool
	Logger     *slog.Logger // slog.Default()
}

const (
	flushTimeout = time.Second     // for what is queued when a connection is closed
	closeTimeout = 2 * time.Second // for a reader and a writer to return after they were closed
)

// Line is a connection of newline-delimited JSON. Make it with [NewLine], give it to the SDK as a
// transport.
//
// Write queues a message and returns; whether it was sent is for a [Trace] to say. It waits only
// while the queue is full, and no longer than its context. The connection ends with the input, at a
// message over the limit, or soon after a failed write.
type Line struct {
	core
	opts    LineOptions
	r       io.Reader
	w       io.Writer
	out     *outbox
	batches batches

	input, output sync.WaitGroup
	finished      chan struct{}
	inputDone     chan struct{}
	closing       sync.Once
	closeErr      error
}

var _ Conn = (*Line)(nil)

// NewLine returns a connection over r and w that starts with Connect. Close closes r and w where
// they are io.Closers; if they cannot be closed, or a blocked Read or Write does not return when
// they are, Close says so after two seconds.
func NewLine(r io.Reader, w io.Writer, o LineOptions) *Line {
	o.MaxFrame = orDefault(o.MaxFrame, DefaultMaxFrame)
	o.MaxQueue = orDefault(o.MaxQueue, defaultMaxQueue)
	o.MaxGarbage = orDefault(o.MaxGarbage, defaultMaxGarbage)
	l := &Line{opts: o, r: r, w: w, out: newOutbox("", "\n", o.MaxQueue), finished: make(chan struct{}),
		inputDone: make(chan struct{})}
	l.init(o.Logger)
	return l
}

// Connect implements [sdk.Transport]. It starts reading and writing.
func (l *Line) Connect(context.Context) (sdk.Connection, error) {
	if err := l.connect(); err != nil {
		return nil, err
	}
	l.input.Go(l.readAll)
	l.output.Go(l.writeAll)
	go func() { // owned by Finished, which Close waits for
		l.input.Wait()
		close(l.inputDone)
		l.output.Wait()
		close(l.finished)
	}()
	return l, nil
}

// SessionID implements [sdk.Connection]; a line has none.
func (l *Line) SessionID() string { return "" }

// Finished is closed when the last goroutine of a connected line has ended.
func (l *Line) Finished() <-chan struct{} { return l.finished }

// Write implements [sdk.Connection]. See [Line] and [NotSentError].
func (l *Line) Write(ctx context.Context, msg jsonrpc.Message) error {
	if err := ctx.Err(); err != nil {
		return &NotSentError{Cause: err}
	}
	data, err := encode(msg)
	if err != nil {
		return err
	}
	resp, ok := msg.(*jsonrpc.Response)
	if !ok {
		t := callTrace(ctx, msg)
		l.keepAnswer(t, msg)
		return l.send(ctx, t, data)
	}
	defer l.answered(resp.ID)
	if size := len(data); size > l.opts.MaxFrame {
		err = &NotSentError{Cause: &TooLargeError{Size: size, Limit: l.opts.MaxFrame}}
		data = tooLargeReply(resp, size, l.opts.MaxFrame)
	}
	for _, frame := range l.batches.answer(resp, data, l.opts.MaxFrame) {
		err = errors.Join(err, l.send(ctx, nil, frame))
	}
	return err
}

// WriteRaw implements [Conn].
func (l *Line) WriteRaw(ctx context.Context, msg []byte) error {
	if err := checkRaw(msg, l.opts.MaxFrame); err != nil {
		return err
	}
	return l.send(ctx, traceOf(ctx), msg)
}

func (l *Line) send(ctx context.Context, t *Trace, data []byte) error {
	if len(data) > l.opts.MaxFrame {
		return &NotSentError{Cause: &TooLargeError{Size: len(data), Limit: l.opts.MaxFrame}}
	}
	return l.out.put(ctx, t, data)
}

// writeAll sends what is queued until the outbox is closed and empty, or a write fails.
func (l *Line) writeAll() {
	for range l.out.wake {
		last := l.out.closed() // before what is queued is taken: more may come until then
		for {
			b := l.out.take()
			if len(b.data) == 0 {
				break
			}
			n, err := l.w.Write(b.data)
			l.out.sent(b, n)
			if err != nil {
				l.writeFailed(fmt.Errorf("write to the peer: %w", err))
				return
			}
		}
		if last {
			return
		}
	}
}

// writeFailed ends the connection, but not before the answers are read that the peer sent before it
// went away.
func (l *Line) writeFailed(err error) {
	l.out.close(err)
	select {
	case <-l.done:
	case <-time.After(flushTimeout):
	}
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
		if started {
			waitFor(flushTimeout, &l.output)
		}
		errs := []error{closeStream("output", l.w)}
		if !l.opts.KeepReader {
			errs = append(errs, closeStream("input", l.r))
		}
		if started {
			if !waitFor(closeTimeout, &l.output) {
				errs = append(errs, errors.New("a write to the peer is stuck"))
			}
			if !l.opts.KeepReader {
				select {
				case <-l.inputDone:
				case <-time.After(closeTimeout):
					errs = append(errs, errors.New("a read from the peer is stuck"))
				}
			}
		} else {
			close(l.finished)
		}
		l.closeErr = errors.Join(errs...)
	})
	return l.closeErr
}

// waitFor waits for wg, but no longer than d.
func waitFor(d time.Duration, wg *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
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
	err := l.readMessages()
	if errors.Is(err, io.EOF) {
		if err = ErrPeerClosed; l.opts.Linger > 0 {
			select {
			case <-l.Idle():
			case <-time.After(l.opts.Linger):
			case <-l.done:
			}
		}
		l.out.mu.Lock()
		if l.out.err != nil && !errors.Is(l.out.err, ErrClosed) {
			err = fmt.Errorf("%w (%w)", ErrPeerClosed, l.out.err)
		}
		l.out.mu.Unlock()
	}
	l.out.close(err) // or an answer that waits for room would keep the SDK from closing
	l.end(err)
	if l.opts.KeepReader {
		_, _ = io.Copy(io.Discard, l.r)
	}
}

func (l *Line) readMessages() error {
	r := bufio.NewReaderSize(l.r, 32<<10)
	var long []byte
	var env Envelope
	garbage := 0
	for {
		line, err := readLine(r, &long, l.opts.MaxFrame)
		if err != nil {
			if large := (*TooLargeError)(nil); errors.As(err, &large) && l.opts.Server {
				l.out.tryPut(errorReply(nil, jsonrpc.CodeInvalidRequest,
					"message exceeds %d bytes, the connection ends", large.Limit))
			}
			return err
		}
		select {
		case <-l.done:
			return l.Err()
		default:
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if bad := l.accept(line, &env); bad == nil {
			garbage = 0
		} else if garbage++; garbage > l.opts.MaxGarbage {
			return fmt.Errorf("%w: %d messages in a row, the last was %q", ErrGarbage, garbage, clip(line, 100))
		} else {
			l.refuse(line, &env, bad, garbage)
		}
	}
}

// accept passes one line on. The error says why it could not be read.
func (l *Line) accept(line []byte, env *Envelope) error {
	if l.opts.Server && !utf8.Valid(line) {
		env.Scan(line)
		return &jsonrpc.Error{Code: jsonrpc.CodeParseError, Message: "parse error: invalid UTF-8"}
	}
	if line[0] == '[' && !l.opts.Server {
		return l.receiveBatch(line, func(msg jsonrpc.Message) { _ = l.push(context.Background(), msg) }) // see below
	}
	if line[0] == '[' {
		*env = Envelope{}
		msgs, err := l.batches.parse(line)
		for _, msg := range msgs {
			_ = l.push(context.Background(), msg) // fails only when the connection has ended
		}
		return err
	}
	msg, err := l.receive(line, env)
	if err != nil {
		return err
	}
	if msg != nil {
		if req, ok := msg.(*jsonrpc.Request); ok && l.opts.Server {
			l.batches.seen(req)
		}
		_ = l.push(context.Background(), msg) // fails only when the connection has ended
	}
	return nil
}

// refuse tells the log, and a client, of a line that could not be read.
func (l *Line) refuse(line []byte, env *Envelope, why error, nth int) {
	level := slog.LevelWarn
	if nth > 10 {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "skipped a line that is not an MCP message", "line", clip(line, 200),
		"reason", why)
	// Only what may be a request is answered: two ends that both answer errors with errors would
	// never stop.
	if !l.opts.Server || env.Error != nil || env.Result != nil {
		return
	}
	if _, ok := env.id(); !ok {
		env.ID = nil
	}
	code := int64(jsonrpc.CodeParseError)
	if we := (*jsonrpc.Error)(nil); errors.As(why, &we) && we.Code != 0 {
		code = we.Code
	} else if rawjson.Valid(line) {
		code = jsonrpc.CodeInvalidRequest
	}
	l.out.tryPut(errorReply(env.ID, code, "%v", why))
}
