package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"
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
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// A table writes rows of cells in aligned columns.
type table struct{ tw *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = visible(fmt.Sprint(c))
	}
	fmt.Fprintln(t.tw, strings.Join(text, "\t"))
}

// visible is s with its control characters written out: what a foreign server says must not steer a
// terminal, or break a table.
func visible(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// flush writes what there is, and ends the table.
func (t table) flush() error { return t.tw.Flush() }

func onTerminal(w io.Writer) bool {
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
