package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"
)

const (
	lineBuffer  = 32 << 10 // bytes that are read at once
	eventBuffer = 4 << 10  // at first, of events: most streams hold one answer and end
	keptBuffer  = 1 << 20  // a larger buffer is not kept for the next line
)

// Lines yields the lines of r that hold something, trimmed, each valid until the next, and last the
// error that ended them, nil at the end of r. A line of more than limit bytes is a [TooLargeError].
func Lines(r io.Reader, limit int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := newLineReader(r, limit, lineBuffer)
		for {
			line, err := in.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(nil, err)
				}
				return
			}
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line, nil) {
				return
			}
		}
	}
}

// A lineReader reads lines.
type lineReader struct {
	r       io.Reader
	limit   int    // bytes of a line, without its end
	cr      bool   // a carriage return ends a line too, as in event streams
	afterCR bool   // the last line ended with one, and a line feed belongs to it
	buf     []byte // what was read; from start on it was not returned yet
	start   int
	scanned int // bytes after start that hold no end of a line
	err     error

	// quiet, if it is set, gets what has come of a line when nothing follows it for patience. It is
	// called in a goroutine of its own, but never beside next. If it takes that, next returns what
	// follows.
	quiet    func(rest []byte) (taken bool)
	patience func(rest []byte) time.Duration // 0: quiet is not called
	mu       sync.Mutex                      // held by next, except while it waits to call quiet
	waits    time.Time                       // since when it does; zero: it does not
	timer    *time.Timer
}

// newLineReader returns a reader that reads up to buffer bytes at once, and more once so much was
// there.
func newLineReader(r io.Reader, limit, buffer int) *lineReader {
	return &lineReader{r: r, limit: limit, buf: make([]byte, 0, buffer)}
}

// next returns the next line with its end, valid until the next call; a last line without an end
// counts. A line over the limit is passed over and is a [TooLargeError]: the next call returns what
// follows it.
func (l *lineReader) next() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cap(l.buf) > keptBuffer && len(l.buf)-l.start <= lineBuffer {
		l.buf = append(make([]byte, 0, lineBuffer), l.buf[l.start:]...)
		l.start = 0
	}
	for {
		rest := l.rest()
		i := l.end(rest[l.scanned:])
		if i >= 0 {
			line := rest[:l.scanned+i+1]
			l.start, l.scanned = l.start+len(line), 0
			return line, l.check(line)
		}
		switch l.scanned = len(rest); {
		case len(rest) > l.limit+len("\r"):
			return nil, l.skip()
		case l.err == nil:
			l.fill()
		case len(rest) > 0:
			l.start, l.scanned = len(l.buf), 0
			return rest, l.check(rest)
		default:
			return nil, l.err
		}
	}
}

// rest is what was read and not returned.
func (l *lineReader) rest() []byte {
	if l.afterCR && l.start < len(l.buf) {
		if l.afterCR = false; l.buf[l.start] == '\n' {
			l.start++
		}
	}
	return l.buf[l.start:]
}

// end is where a line ends in b; negative: not there. It must be taken as the end.
func (l *lineReader) end(b []byte) int {
	i := bytes.IndexByte(b, '\n')
	if !l.cr {
		return i
	}
	before := b
	if i >= 0 {
		before = b[:i]
	}
	if j := bytes.IndexByte(before, '\r'); j >= 0 {
		l.afterCR = true
		return j
	}
	return i
}

// check is the error for a whole line that is too long.
func (l *lineReader) check(line []byte) error {
	if len(line) <= l.limit {
		return nil
	}
	if line = bytes.TrimRight(line, "\r\n"); len(line) <= l.limit {
		return nil
	}
	large := &TooLargeError{Limit: l.limit, Inbound: true}
	large.add(line)
	return large
}

// skip passes over the line that is too long.
func (l *lineReader) skip() error {
	large := &TooLargeError{Limit: l.limit, Inbound: true}
	for {
		rest := l.buf[l.start:]
		end := l.end(rest)
		if end < 0 {
			end = len(rest)
		}
		large.add(rest[:end])
		l.start, l.scanned = l.start+end, 0
		if end < len(rest) {
			l.start++
			return large
		}
		if l.err != nil {
			return large
		}
		l.fill()
	}
}

// fill reads more, or notes why there is no more.
func (l *lineReader) fill() {
	switch full := len(l.buf) == cap(l.buf); {
	case l.start == len(l.buf) && full && len(l.buf) < lineBuffer:
		l.buf, l.start = make([]byte, 0, 2*cap(l.buf)), 0
	case l.start == len(l.buf):
		l.buf, l.start = l.buf[:0], 0
	case full && l.start > 0:
		n := copy(l.buf[:cap(l.buf)], l.buf[l.start:])
		l.buf, l.start = l.buf[:n], 0
	}
	if len(l.buf) == cap(l.buf) {
		l.buf = append(make([]byte, 0, 2*cap(l.buf)), l.buf...)
	}
	n, err := l.read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	switch {
	case errors.Is(err, io.EOF):
		l.err = io.EOF
	case err != nil:
		l.err = fmt.Errorf("read from the peer: %w", err)
	}
}

// read is a read that quiet may be called beside.
func (l *lineReader) read(p []byte) (int, error) {
	var d time.Duration
	if l.quiet != nil {
		d = l.patience(l.buf[l.start:])
	}
	if d == 0 {
		return l.r.Read(p)
	}
	l.waits = time.Now()
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.waited) // it does nothing once next has gone on
	} else {
		l.timer.Reset(d)
	}
	l.mu.Unlock()
	n, err := l.r.Read(p)
	l.mu.Lock()
	l.timer.Stop()
	l.waits = time.Time{}
	return n, err
}

// waited calls quiet if nothing has come for long enough.
func (l *lineReader) waited() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.patience(l.buf[l.start:]); l.waits.IsZero() || d == 0 || time.Since(l.waits) < d {
		return
	}
	if l.quiet(l.buf[l.start:]) {
		l.start, l.scanned = len(l.buf), 0
	}
}
