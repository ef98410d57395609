package traces

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openmas/openmas/internal/logs"
)

const (
	// barWidth is how many characters the whole trace has in the waterfall.
	barWidth = 30
	// maxMessage bounds the message of an error below a row, maxReason that of a trace in a list,
	// and maxRows the rows of a trace.
	maxMessage, maxReason, maxRows = 400, 160, 1000
)

// Show writes a trace as a tree: what was called, by and in which agent, over what, how long it
// took and when, as bars, and below what failed its code and message. The two ends of a call are
// one row where both are known. Words of strangers cannot steer the terminal.
func Show(w io.Writer, t *Trace) error {
	start, end := t.Bounds()
	outcome := "ok"
	if t.Failed() {
		outcome = "failed"
	}
	spans := "spans"
	if len(t.Spans) == 1 {
		spans = "span"
	}
	if _, err := fmt.Fprintf(w, "trace %s  %s  %s  %s, %d %s\n", logs.Visible(t.ID),
		start.Local().Format("2006-01-02 15:04:05.000"), Duration(end.Sub(start)), outcome, len(t.Spans),
		spans); err != nil {
		return err
	}
	s := shower{start: start, whole: max(end.Sub(start), 1)}
	for _, root := range t.Tree() {
		s.node(root, "", "")
	}
	return s.print(w)
}

// A shower collects the rows of a trace.
type shower struct {
	start time.Time
	whole time.Duration
	rows  []row
	all   int // rows, those beyond the bound too
}

// A row has a call in aligned cells, and what went wrong in it below.
type row struct {
	cells  [4]string
	indent string // of what is below
	below  []string
}

func (s *shower) print(w io.Writer) error {
	var widths [4]int
	for _, r := range s.rows {
		for i, cell := range r.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for _, r := range s.rows {
		line := ""
		for i, cell := range r.cells {
			line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
		for _, reason := range r.below {
			out.WriteString(r.indent + "  " + logs.Visible(reason) + "\n")
		}
	}
	if s.all > maxRows {
		fmt.Fprintf(&out, "… %d rows more: --json has all\n", s.all-maxRows)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// node writes a span and what is below it; first is before its name, rest before what is below.
func (s *shower) node(n *Node, first, rest string) {
	call, callee := n.Span, (*Node)(nil)
	if n.Kind == Client && len(n.Below) == 1 && n.Below[0].Kind == Server && n.Below[0].Name == n.Name {
		callee = n.Below[0] // the two ends of one call
	}
	if s.all++; s.all > maxRows {
		rest = "" // the others are only counted
	} else {
		s.rows = append(s.rows, row{s.cells(call, callee, first), rest, reasons(call, callee)})
	}
	below := n.Below
	if callee != nil {
		below = callee.Below
	}
	for i, b := range below {
		if i == len(below)-1 {
			s.node(b, rest+"└ ", rest+"  ")
		} else {
			s.node(b, rest+"├ ", rest+"│ ")
		}
	}
}

// cells are the name of a call, what is to be known of it, its time and its bar.
func (s *shower) cells(n *Span, callee *Node, first string) [4]string {
	name := strings.TrimPrefix(n.Name, "tools/call ")
	if callee == nil {
		switch n.Kind {
		case Client:
			if isCall(n) {
				name += " (caller only)"
			}
		case Server, Internal:
			if service := n.Service(); service != "" && !strings.HasPrefix(name, service+".") {
				name = service + ": " + name
			}
		}
	}
	return [4]string{first + logs.Visible(name), logs.Visible(strings.Join(details(n, callee), " ")),
		Duration(n.Took()), s.bar(n)}
}

// isCall reports whether a span is of a call of an agent, which has a span of its callee too: not
// that of a model, a database or whatever else an agent is a client of.
func isCall(n *Span) bool {
	return n.Text("openmas.communicator") != "" || n.Text("openmas.call.id") != "" || n.Text("mcp.method.name") != ""
}

// model is what is to be known of a request to a model: which one, and its tokens.
func model(n *Span) (out []string) {
	name := n.Text("gen_ai.request.model")
	if name == "" {
		return nil
	}
	if !strings.Contains(n.Name, name) {
		out = append(out, name)
	}
	in, answer := n.Text("gen_ai.usage.input_tokens"), n.Text("gen_ai.usage.output_tokens")
	if in != "" && answer != "" {
		out = append(out, fmt.Sprintf("%s→%s tokens", in, answer))
	}
	return out
}

// details are what is to be known of a call besides its name and its time.
func details(n *Span, callee *Node) (out []string) {
	out = model(n)
	if over := n.Text("openmas.communicator"); over != "" {
		if callee != nil { // a child process calls by way of its parent
			if then := callee.Text("openmas.communicator"); then != "" && then != over {
				over += "→" + then
			}
		}
		out = append(out, over)
	}
	if attempts := n.Text("openmas.attempts"); attempts != "" && attempts != "1" {
		out = append(out, attempts+" attempts")
	} else if n.Kind == Client && n.Attributes["openmas.attempt"] != nil {
		out = append(out, "attempt "+n.Text("openmas.attempt"))
	}
	for _, side := range []*Span{n, calleeSpan(callee)} {
		if side == nil {
			continue
		}
		if wait, ok := side.Attributes["openmas.queue.waited"].(float64); ok && wait >= 0.001 {
			out = append(out, "queued "+Duration(seconds(wait)))
			break
		}
	}
	return out
}

func calleeSpan(callee *Node) *Span {
	if callee == nil {
		return nil
	}
	return callee.Span
}

// reasons say what failed: the code and the message, once for both ends of a call; and why earlier
// attempts did.
func reasons(n *Span, callee *Node) (out []string) {
	for _, e := range n.Events {
		if e.Name == "retry" {
			out = append(out, fmt.Sprintf("tried again: %v", e.Attributes["openmas.code"]))
		}
	}
	seen := ""
	for _, side := range []*Span{n, calleeSpan(callee)} {
		if side == nil {
			continue
		}
		code, message := side.Text("openmas.code"), side.Message
		for _, e := range side.Events {
			if text, ok := e.Attributes["exception.message"].(string); ok && e.Name == "exception" && message == "" {
				message = text
			}
		}
		if code == "" && side.Failed {
			code = side.Text("error.type")
		}
		if code == "" && !side.Failed {
			continue
		}
		message, _, _ = strings.Cut(message, "\n")
		reason := strings.Trim("✗ "+code+": "+message, ": ")
		if reason = cut(reason, maxMessage); reason != seen && (seen == "" || !isBare(message)) {
			out = append(out, reason)
		}
		seen = reason
	}
	return out
}

// isBare reports whether a message says no more than that a context was over: whoever waited for
// that call knows whose time it was.
func isBare(message string) bool {
	return message == context.DeadlineExceeded.Error() || message == context.Canceled.Error()
}

// Reason is why a trace failed: what the deepest span of the last failure says that knows why;
// empty where nothing did.
func (t *Trace) Reason() string {
	reason, bare := "", ""
	for i := range t.Spans {
		all := reasons(&t.Spans[i], nil)
		if len(all) == 0 {
			continue
		}
		last := all[len(all)-1]
		if _, message, _ := strings.Cut(last, ": "); isBare(message) {
			bare = last
		} else {
			reason = last
		}
	}
	return cut(cmp.Or(reason, bare), maxReason)
}

func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// bar is when a span was, within the trace.
func (s *shower) bar(n *Span) string {
	at := int(float64(barWidth) * float64(n.Start.Sub(s.start)) / float64(s.whole))
	at = min(max(at, 0), barWidth-1)
	size := int(float64(barWidth)*float64(n.Took())/float64(s.whole) + 0.5)
	size = min(max(size, 1), barWidth-at)
	return strings.Repeat("·", at) + strings.Repeat("█", size) + strings.Repeat("·", barWidth-at-size)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Duration is one as people write it, with three digits or so.
func Duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.2fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
