package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

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

// readLine returns the next line, valid until the next call; a last line without an end counts.
// long is its buffer for lines that r cannot hold.
func readLine(r *bufio.Reader, long *[]byte, limit int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == nil && len(line) <= limit+1 {
		return line, nil
	}
	if cap(*long) > 1<<20 {
		*long = nil
	}
	b := append((*long)[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) && len(b) <= limit+1 {
		line, err = r.ReadSlice('\n')
		b = append(b, line...)
	}
	*long = b
	switch {
	case len(bytes.TrimRight(b, "\r\n")) > limit:
		return nil, &TooLargeError{Limit: limit, Inbound: true}
	case err == nil || errors.Is(err, io.EOF) && len(b) > 0:
		return b, nil
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	}
	return nil, fmt.Errorf("read from the peer: %w", err)
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
