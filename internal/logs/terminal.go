package logs

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// NewTerminal writes lines for people: the time of day, the level, who logs, the message, and what
// belongs to it. Stacks and other texts of several lines are a block below. Control characters are
// written out.
func NewTerminal(w io.Writer, level slog.Leveler, color bool) slog.Handler {
	return &terminal{out: &locked{w: w}, level: level, color: color}
}

// NewBriefTerminal is NewTerminal with stacks shortened by [OwnFrames], for a log that is kept
// whole: the command logs of program shows it.
func NewBriefTerminal(w io.Writer, level slog.Leveler, color bool, program string) slog.Handler {
	return &terminal{out: &locked{w: w}, level: level, color: color, brief: program}
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

type terminal struct {
	out    *locked
	level  slog.Leveler
	color  bool
	brief  string // the program whose log is kept whole; empty: stacks are shown whole
	left   int    // frames of a stack that are not shown
	agent  string
	fields string // what the logger has, written
	blocks string
	prefix string // of keys: "group."
}

// Escape sequences of colors.
const (
	reset, faint, bold        = "\x1b[0m", "\x1b[2m", "\x1b[1m"
	red, green, yellow, plain = "\x1b[31m", "\x1b[32m", "\x1b[33m", ""
)

// agentColors are told apart on dark and light ground; red and yellow are for levels.
var agentColors = [...]string{"\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[32m", "\x1b[96m", "\x1b[95m", "\x1b[94m",
	"\x1b[92m"}

// Enabled implements slog.Handler.
func (t *terminal) Enabled(_ context.Context, l slog.Level) bool { return l >= t.level.Level() }

// Handle implements slog.Handler.
func (t *terminal) Handle(_ context.Context, r slog.Record) error {
	line := *t
	r.Attrs(func(a slog.Attr) bool {
		line.add(t.prefix, a)
		return true
	})
	var b strings.Builder
	if !r.Time.IsZero() {
		b.WriteString(t.paint(faint, r.Time.Format("15:04:05.000")) + " ")
	}
	b.WriteString(t.paint(levelColor(r.Level), fmt.Sprintf("%-5s", LevelName(r.Level))) + " ")
	if line.agent != "" {
		b.WriteString(t.paint(agentColor(line.agent), Visible(line.agent)) + " ")
	}
	message, more, _ := strings.Cut(r.Message, "\n")
	b.WriteString(Visible(message) + line.fields + "\n")
	if more != "" {
		b.WriteString(indented(more))
	}
	b.WriteString(line.blocks)
	if line.left > 0 {
		where := Visible(strings.TrimSpace(t.brief + " logs " + line.agent))
		b.WriteString("    " + t.paint(faint, fmt.Sprintf("… %d frames more: %s shows them", line.left, where)) + "\n")
	}
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	_, err := io.WriteString(t.out.w, b.String())
	return err
}

// WithAttrs implements slog.Handler.
func (t *terminal) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *t
	for _, a := range attrs {
		out.add(t.prefix, a)
	}
	return &out
}

// WithGroup implements slog.Handler.
func (t *terminal) WithGroup(name string) slog.Handler {
	if name == "" {
		return t
	}
	out := *t
	out.prefix += Visible(name) + "."
	return &out
}

// add writes an attribute.
func (t *terminal) add(prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += Visible(a.Key) + "."
		}
		for _, inner := range v.Group() {
			t.add(prefix, inner)
		}
		return
	}
	text := textOf(v)
	if t.brief != "" && prefix+a.Key == "stack" {
		text, t.left = OwnFrames(text)
	}
	switch {
	case a.Equal(slog.Attr{}):
	case prefix == "" && a.Key == keyAgent && t.agent == "":
		t.agent = text
	case strings.Contains(strings.TrimRight(text, "\n"), "\n"):
		t.blocks += "    " + t.paint(faint, prefix+Visible(a.Key)+":") + "\n" + indented(text)
	default:
		t.fields += " " + t.paint(faint, prefix+Visible(a.Key)+"=") + quoted(text)
	}
}

func textOf(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339)
	case slog.KindAny:
		if b, ok := v.Any().([]byte); ok {
			return string(b)
		}
		return fmt.Sprintf("%+v", v.Any())
	}
	return v.String()
}

// quoted is a value in one line; one with spaces is put in quotes.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " =\"") {
		s = strconv.Quote(s)
	}
	return Visible(s)
}

// maxBlock bounds the lines of a block.
const maxBlock = 200

func indented(text string) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if i == maxBlock {
			fmt.Fprintf(&b, "    … %d lines more\n", len(lines)-i)
			break
		}
		b.WriteString("    " + Visible(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    ")) + "\n")
	}
	return b.String()
}

func (t *terminal) paint(color, text string) string {
	if !t.color || color == plain {
		return text
	}
	return color + text + reset
}

func levelColor(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return bold + red
	case l >= slog.LevelWarn:
		return yellow
	case l >= slog.LevelInfo:
		return green
	}
	return faint
}

// agentColor is the same for a name in each run.
func agentColor(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // it never fails
	return agentColors[h.Sum32()%uint32(len(agentColors))]
}

// Colors reports whether a terminal is to be written to in color, as its user has it in the
// environment: NO_COLOR, CLICOLOR=0 and TERM=dumb turn it off.
func Colors(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("CLICOLOR") != "0" && getenv("TERM") != "dumb"
}
