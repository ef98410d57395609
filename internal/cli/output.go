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
	tw   *tabwriter.Writer
	most int
}

const maxCell = 100

func newTable(w io.Writer) table {
	t := table{tw: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
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

// flush writes what there is, and ends the table.
func (t table) flush() error { return t.tw.Flush() }

// OnTerminal reports whether w is a terminal.
func OnTerminal(w io.Writer) bool {
	if _, ok := w.(*console.Console); ok {
		return true
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
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
