package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/openmas/openmas/internal/cli/internal/console"
	"github.com/openmas/openmas/internal/logs"
)

// Streams are the standard streams of the program, and what a test puts in their place.
//
// Out carries results only: what somebody asked for, so that it can be piped. With `run --stdio`
// and `mcp connect` it carries MCP and nothing else. Err carries everything for people: logs,
// notes, progress and errors.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// format is the flag --json, of commands that print a result for people otherwise.
type format struct{ json bool }

func (f *format) register(c *cobra.Command, usage string) {
	c.Flags().BoolVar(&f.json, "json", false, usage)
}

// print writes a result, either as JSON or by text.
func (f *format) print(w io.Writer, result any, text func(io.Writer) error) error {
	if f.json {
		return WriteJSON(w, result)
	}
	return text(w)
}

// WriteJSON writes a value as JSON that people can read.
func WriteJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, forPeople(w, b.String()))
	return err
}

// A table writes rows of cells in aligned columns. On a terminal a cell has at most maxCell
// characters: one long name would push the other columns out of sight. In a pipe it is whole.
type table struct {
	out  io.Writer
	rows *bytes.Buffer
	tw   *tabwriter.Writer
	most int
}

const maxCell = 100

func newTable(w io.Writer) table {
	rows := &bytes.Buffer{}
	t := table{out: w, rows: rows, tw: tabwriter.NewWriter(rows, 0, 0, 2, ' ', 0)}
	if OnTerminal(w) {
		t.most = maxCell
	}
	return t
}

func (t table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = cut(logs.Visible(fmt.Sprint(c)), t.most)
	}
	fmt.Fprintln(t.tw, strings.Join(text, "\t"))
}

// cut is s, most characters of it; 0 is all.
func cut(s string, most int) string {
	if r := []rune(s); most > 0 && len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// forPeople is a text of a stranger as it may stand on a terminal: with its lines, but without what
// would steer it. Elsewhere it stays as it came.
func forPeople(w io.Writer, s string) string {
	if !OnTerminal(w) {
		return s
	}
	return visibleLines(s)
}

// visibleLines is a text over lines with its other control characters written out.
func visibleLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		parts := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
		for j, p := range parts {
			parts[j] = logs.Visible(p)
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

// flush writes what there is, and ends the table. A row whose last cells are empty ends where its
// text does.
func (t table) flush() error {
	if err := t.tw.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(t.rows.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// OnTerminal reports whether w is a terminal.
func OnTerminal(w io.Writer) bool {
	if _, ok := w.(*console.Console); ok {
		return true
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// widthOf is how many characters a line of w has; 0: as many as one likes, since it is no terminal.
func widthOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !OnTerminal(w) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return maxCell
	}
	return width
}

// folded is a text in lines of at most width characters, broken between words; 0: in one line.
func folded(s string, width int) string {
	var b strings.Builder
	at := 0
	for n, word := range strings.Fields(s) {
		size := utf8.RuneCountInString(word)
		switch {
		case n == 0:
		case width > 0 && at+1+size > width:
			b.WriteString("\n  ")
			at = 2
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += size
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(s)
}

// SurviveBrokenPipes makes a write to a standard output or error that nobody reads any more an
// error, where the system would end the process: a client that closes both must not cut off what is
// in flight. Only for programs that serve; the function that it returns ends it.
func SurviveBrokenPipes() func() {
	got := make(chan os.Signal, 1) // nobody reads it: that the signal is wanted is what changes writes
	signal.Notify(got, syscall.SIGPIPE)
	return func() { signal.Stop(got) }
}

// age is how long ago a moment was, shortly; empty where it is not known.
func age(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	d := max(time.Since(at), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
