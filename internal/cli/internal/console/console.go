// Package console is standard error on a terminal: lines that come at any time, a bar of progress
// below them, and questions to whoever sits there. None of them writes over another.
package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/form"
	"github.com/openmas/openmas/internal/logs"
)

// How somebody leaves a question.
var (
	ErrInterrupted = errors.New("interrupted by Ctrl-C")
	ErrClosed      = errors.New("ended by Ctrl-D")
)

// drawEvery bounds how often the bar is drawn: a callee may report thousands of steps a second.
const drawEvery = 50 * time.Millisecond

// A Console is safe for concurrent use. Questions are asked one after the other.
type Console struct {
	in, out *os.File
	color   bool

	asking chan struct{} // held by whoever asks

	mu       sync.Mutex
	keys     keys
	terminal *term.Terminal // made for the first question; it may hold what was typed ahead
	open     bool           // a question is
	bar      bar
	drawn    bool        // the bar is on the screen
	midLine  bool        // what was written last has not ended its line
	late     *time.Timer // draws the bar that came too soon after the one before
	last     time.Time   // when the bar was drawn
	closed   bool
}

// New returns a console on a terminal, with colors or without. in is nil where nobody can be asked.
func New(in, out *os.File, color bool) *Console {
	return &Console{in: in, out: out, color: color, asking: make(chan struct{}, 1)}
}

// CanAsk reports whether there is somebody to ask.
func (c *Console) CanAsk() bool { return c.in != nil }

// Colors reports whether texts may have colors.
func (c *Console) Colors() bool { return c.color }

// Write writes lines above the bar, or above the question that is open.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open {
		return c.terminal.Write(p)
	}
	c.clear()
	n, err := c.out.Write(p)
	c.midLine = len(p) > 0 && !bytes.HasSuffix(p, []byte("\n"))
	if err == nil {
		c.draw()
	}
	return n, err
}

// Close takes the bar off the screen.
func (c *Console) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	c.closed = true
	if c.late != nil {
		c.late.Stop()
	}
}

// Progress shows how far the call is.
func (c *Console) Progress(n agent.ProgressNotice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.bar = bar{n, true}
	if gone := time.Since(c.last); gone < drawEvery {
		if c.late == nil {
			c.late = time.AfterFunc(drawEvery-gone, c.redraw) // Close stops it
		}
		return
	}
	c.draw()
}

// redraw draws what came too soon.
func (c *Console) redraw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = nil
	c.draw()
}

// draw has the bar on the screen, if nothing else is there.
func (c *Console) draw() {
	if c.open || c.closed || c.midLine || !c.bar.shown {
		return
	}
	width, _, err := term.GetSize(int(c.out.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	fmt.Fprint(c.out, startOfLine+c.bar.line(width-1))
	c.drawn, c.last = true, time.Now()
}

// clear takes the bar off the screen.
func (c *Console) clear() {
	if c.drawn {
		fmt.Fprint(c.out, startOfLine)
		c.drawn = false
	}
}

// Title implements [form.Asker].
func (c *Console) Title(text string) { c.say(bold, visible(text)) }

// Hint implements [form.Asker].
func (c *Console) Hint(text string) { c.say(faint, "  "+logs.Visible(text)) }

// Wrong implements [form.Asker].
func (c *Console) Wrong(text string) { c.say(red, "  "+logs.Visible(text)) }

// Bold is a text that stands out, where texts may have colors.
func (c *Console) Bold(text string) string {
	if !c.color {
		return text
	}
	return bold + text + reset
}

// visible is a text over lines, with what steers a terminal written out.
func visible(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = logs.Visible(strings.TrimSuffix(line, "\r"))
	}
	return strings.Join(lines, "\n")
}

func (c *Console) say(look, text string) {
	if look != "" && c.color {
		text = look + text + reset
	}
	fmt.Fprintln(c, text)
}

// Line asks for a line. It returns when ctx ends, with [ErrInterrupted] or with [ErrClosed].
func (c *Console) Line(ctx context.Context, q form.Question) (string, error) {
	if c.in == nil {
		return "", errors.New("there is no terminal to ask at")
	}
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	before, err := term.MakeRaw(int(c.in.Fd()))
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	t := c.begin(ctx, q)
	line, err := c.read(t, q)
	c.end(err)
	if restored := term.Restore(int(c.in.Fd()), before); err == nil {
		err = restored
	}
	return line, err
}

func (c *Console) begin(ctx context.Context, q form.Question) *term.Terminal {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	c.keys = keys{ctx, c.in}
	if c.terminal == nil {
		c.terminal = term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{&c.keys, c.out}, "")
	}
	if width, height, err := term.GetSize(int(c.out.Fd())); err == nil && width > 0 && height > 0 {
		_ = c.terminal.SetSize(width, height) // it cannot fail where no line is open
	}
	c.terminal.AutoCompleteCallback = completing(q.Words)
	c.open = true
	return c.terminal
}

func (c *Console) read(t *term.Terminal, q form.Question) (string, error) {
	prompt := "  " + logs.Visible(q.Prompt)
	if q.Secret {
		line, err := t.ReadPassword(prompt)
		return line, asLeft(err)
	}
	t.SetPrompt(prompt)
	line, err := t.ReadLine()
	return line, asLeft(err)
}

// asLeft names the end of the keys that the terminal's own reader reports for Ctrl-D.
func asLeft(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrClosed
	}
	return err
}

func (c *Console) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = false
	if err != nil {
		fmt.Fprint(c.out, "\r\n")
	}
	c.draw()
}

// completing completes the line to the word that it begins, or to what several have in common.
func completing(words []string) func(line string, pos int, key rune) (string, int, bool) {
	if len(words) == 0 {
		return nil
	}
	return func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' || pos != len(line) {
			return "", 0, false
		}
		common, found := "", false
		for _, w := range words {
			if !strings.HasPrefix(w, line) {
				continue
			}
			if !found {
				common, found = w, true
			}
			for !strings.HasPrefix(w, common) {
				r := []rune(common)
				common = string(r[:len(r)-1])
			}
		}
		if !found {
			return line, pos, true
		}
		return common, len(common), true
	}
}

// keys are what is typed while a question is open. A read ends with the question's context.
type keys struct {
	ctx context.Context //nolint:containedctx // that of the question which is open
	in  *os.File
}

const ctrlC = 3

// Read implements [io.Reader].
func (k *keys) Read(p []byte) (int, error) {
	if err := await(k.ctx, k.in); err != nil {
		return 0, err
	}
	n, err := k.in.Read(p)
	if bytes.IndexByte(p[:n], ctrlC) >= 0 {
		return 0, ErrInterrupted
	}
	return n, err
}
