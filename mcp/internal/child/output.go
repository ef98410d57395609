package child

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	maxLine     = 64 << 10 // a longer line is cut, its rest dropped
	maxPartial  = 4 << 10  // an unfinished line is emitted up to this size
	tailLines   = 20
	maxTailLine = 500
)

// pump reads one pipe of the child to its end and cuts it into lines.
type pump struct {
	file  *os.File
	lines lineCutter
	done  chan struct{}
}

func newPump(file *os.File, emit func(line []byte, complete bool)) *pump {
	return &pump{file: file, lines: lineCutter{max: maxLine, emit: emit}, done: make(chan struct{})}
}

// run ends when the last writer has closed the pipe, or when the pipe is closed on our side.
func (p *pump) run() {
	defer close(p.done)
	chunk := make([]byte, 8<<10)
	for {
		n, err := p.file.Read(chunk)
		p.lines.write(chunk[:n])
		if err != nil {
			p.lines.flush()
			return
		}
	}
}

// lineCutter cuts a stream into lines of at most max bytes, without "\n" or "\r\n". After each
// write it also emits the start of an unfinished line: a program may report that it is ready
// without ending the line.
type lineCutter struct {
	max  int
	emit func(line []byte, complete bool)
	buf  []byte
	skip bool // the rest of a line that was cut
}

func (c *lineCutter) write(b []byte) {
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte{'\n'})
		b = rest
		if !c.skip {
			// One byte more than a line may have, so that the "\r" of a line that fits does not
			// count.
			c.buf = append(c.buf, part[:min(len(part), c.max+1-len(c.buf))]...)
			if ended || len(c.buf) > c.max {
				c.skip = !ended
				c.flushLine()
			}
		} else if ended {
			c.skip = false
		}
	}
	if len(c.buf) > 0 && len(c.buf) <= maxPartial {
		c.emit(c.buf, false)
	}
}

// flush emits a last line without an end.
func (c *lineCutter) flush() {
	if len(c.buf) > 0 {
		c.flushLine()
	}
}

func (c *lineCutter) flushLine() {
	line := bytes.TrimSuffix(c.buf, []byte{'\r'})
	c.emit(line[:min(len(line), c.max)], true)
	c.buf = c.buf[:0]
}

// tail keeps the last lines for errors.
type tail struct {
	mu   sync.Mutex
	ring [tailLines]string
	n    int // lines so far
}

func (t *tail) add(line []byte) {
	text := printable(line)
	if text == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ring[t.n%tailLines] = text
	t.n++
}

func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for i := max(0, t.n-tailLines); i < t.n; i++ {
		all = append(all, t.ring[i%tailLines])
	}
	return all
}

// printable makes a foreign program's line fit for an error message: without control characters,
// which would steer the reader's terminal.
func printable(line []byte) string {
	if n := maxTailLine; len(line) > n {
		for n > maxTailLine-utf8.UTFMax && !utf8.RuneStart(line[n]) {
			n-- // not through the middle of a character
		}
		line = line[:n]
	}
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(line), "\uFFFD"))
	return strings.TrimRightFunc(text, unicode.IsSpace)
}

// protocolReader is the parent's end of a protocol's stdout. ended is closed when its reader has
// read it to its end, or closed it.
type protocolReader struct {
	file  *os.File
	once  sync.Once
	ended chan struct{}
}

func (r *protocolReader) Read(b []byte) (int, error) {
	n, err := r.file.Read(b)
	if err != nil {
		r.once.Do(func() { close(r.ended) })
		if errors.Is(err, os.ErrClosed) {
			err = io.EOF // closed by run: for the reader that is the child's end
		}
	}
	return n, err
}

func (r *protocolReader) Close() error {
	r.once.Do(func() { close(r.ended) })
	return r.file.Close()
}
