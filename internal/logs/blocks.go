package logs

import (
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// maxBlockLines and maxBlockBytes bound a traceback; what is beyond is dropped.
	maxBlockLines, maxBlockBytes = 400, 64 << 10
	// blockWait is how long after its last line a block ends that does not end by itself: that of a
	// program which is over.
	blockWait = 500 * time.Millisecond
)

// Blocks reads the standard error of a program line by line, and makes one of the lines of a Python
// traceback or a Go panic. Safe for concurrent use.
type Blocks struct {
	emit func(Line)

	mu      sync.Mutex
	kind    blockKind
	lines   []string
	bytes   int
	dropped bool
	idle    *time.Timer
}

type blockKind int

const (
	noBlock blockKind = iota
	pythonBlock
	goBlock
)

// NewBlocks returns Blocks that give each line, or block, to emit: a block that has no end half a
// second after its last line, from a goroutine of a timer.
func NewBlocks(emit func(Line)) *Blocks { return &Blocks{emit: emit} }

var (
	pythonBegins = regexp.MustCompile(`^(\s*[+|] )?\s*(Exception Group )?Traceback \(most recent call last\):$|` +
		`^During handling of the above exception, another exception occurred:$|` +
		`^The above exception was the direct cause of the following exception:$`)
	goBegins = regexp.MustCompile(`^(panic: |fatal error: |unexpected fault address )`)
)

// Add takes one line, without its end.
func (b *Blocks) Add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := strings.TrimRight(StripColors(line), " \t\r\n")
	switch b.kind {
	case pythonBlock:
		switch {
		case pythonBegins.MatchString(text), text == "", strings.HasPrefix(text, " "):
			b.keep(text)
		case len(b.lines) == 1 && !strings.HasPrefix(b.lines[0], "Traceback"): // "During handling ..." and no traceback
			b.end()
			b.plain(text)
		default: // the exception
			b.keep(text)
			b.end()
		}
		return
	case goBlock: // to the end of the program, as far as can be told
		b.keep(text)
		if strings.HasPrefix(text, "exit status ") {
			b.end()
		}
		return
	}
	switch {
	case pythonBegins.MatchString(text):
		b.kind = pythonBlock
		b.keep(text)
	case goBegins.MatchString(text):
		b.kind = goBlock
		b.keep(text)
	default:
		b.plain(text)
	}
}

func (b *Blocks) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
}

func (b *Blocks) plain(text string) {
	if text != "" {
		b.emit(ParseLine(text))
	}
}

func (b *Blocks) keep(text string) {
	if b.idle == nil {
		b.idle = time.AfterFunc(blockWait, b.flush)
	} else {
		b.idle.Reset(blockWait)
	}
	if len(b.lines) >= maxBlockLines || b.bytes+len(text) > maxBlockBytes {
		b.dropped = true
		if b.kind == pythonBlock && len(b.lines) > 0 {
			b.lines[len(b.lines)-1] = text // the exception comes last
		}
		return
	}
	b.bytes += len(text) + 1
	b.lines = append(b.lines, text)
}

// end emits the block: its message is what went wrong, the rest its stack.
func (b *Blocks) end() {
	if b.kind == noBlock {
		return
	}
	first, last := strings.TrimSpace(b.lines[0]), strings.TrimSpace(b.lines[len(b.lines)-1])
	message := first
	if b.kind == pythonBlock && len(b.lines) > 1 && last != "" {
		message = last
	}
	l := Line{Level: slog.LevelError, Message: message, Attrs: []slog.Attr{
		slog.String("stack", strings.TrimRight(strings.Join(b.lines, "\n"), "\n"))}}
	if b.dropped {
		l.Attrs = append(l.Attrs, slog.Bool("cut", true))
	}
	b.idle.Stop()
	b.kind, b.lines, b.bytes, b.dropped = noBlock, nil, 0, false
	b.emit(l)
}
