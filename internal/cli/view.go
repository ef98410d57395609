package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openmas/openmas/internal/logs"
)

// trendLen is how many seconds the trend of calls goes back.
const trendLen = 40

// A view is what is on the screen: the newest status, and how fast its numbers rise.
type view struct {
	color bool

	rows   []*agentRow
	heads  []string
	err    error
	at     time.Time
	before map[string][2]int64   // calls and failures of each agent
	rate   map[string][2]float64 // a second
	trend  []float64             // calls a second, the newest last
}

// took takes a status, or why there is none.
func (v *view) took(s systemStatus, err error, at time.Time) {
	gone := at.Sub(v.at).Seconds()
	first := v.before == nil
	v.err, v.at = err, at
	v.heads, v.rows = nil, s.rows()
	for _, p := range s.Processes {
		v.heads = append(v.heads, headline(p))
	}
	now, rate, all := map[string][2]int64{}, map[string][2]float64{}, 0.0
	for _, r := range v.rows {
		now[r.name] = [2]int64{r.calls, r.failures}
		if was, known := v.before[r.name]; known && gone > 0 { // after a restart it begins at zero
			rate[r.name] = [2]float64{max(float64(r.calls-was[0])/gone, 0), max(float64(r.failures-was[1])/gone, 0)}
		}
		all += rate[r.name][0]
	}
	v.before, v.rate = now, rate
	if !first {
		v.trend = append(v.trend, all)
		v.trend = v.trend[max(len(v.trend)-trendLen, 0):]
	}
	// What happens is on top; what rests is by name.
	slices.SortStableFunc(v.rows, func(a, b *agentRow) int {
		return cmp.Or(-cmp.Compare(a.trouble(), b.trouble()),
			-cmp.Compare(rate[a.name][0]+float64(a.inFlight), rate[b.name][0]+float64(b.inFlight)))
	})
}

// draw writes one picture of the size of the screen, in one write, so that nothing flickers.
func (v *view) draw(w io.Writer, width, height int) error {
	var lines []string
	for _, h := range v.heads {
		lines = append(lines, v.paint(bold, clip(logs.Visible(h), width)))
	}
	if v.err != nil {
		lines = append(lines, v.paint(red, clip(logs.Visible(firstLine(v.err.Error())), width)))
	}
	if len(v.rows) > 0 {
		lines = append(append(lines, clip(v.totals(), width), ""), v.table(width)...)
		lines = append(lines, v.errors(width, height-2-len(lines))...)
	}
	const foot = "q quits"
	if room := max(height-2, 1); len(lines) > room { // below it an empty line and the foot
		lines = append(lines[:room-1], clip(fmt.Sprintf("… %d more lines", len(lines)-room+1), width))
	}
	lines = append(lines, "", v.paint(faint, clip(foot, width)))
	b := strings.Builder{}
	b.WriteString(topLeft)
	for n, l := range lines[:min(len(lines), height)] {
		if n > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(restOfLine + l)
	}
	if len(lines) < height {
		b.WriteString("\r\n" + restBelow)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// errors are the reasons that the table cuts, in at most room lines with an empty one before them.
func (v *view) errors(width, room int) (lines []string) {
	for _, r := range v.rows {
		if why := r.reasons(); utf8.RuneCountInString(why) > reasonWidth && len(lines)+1 < room {
			lines = append(lines, clip(logs.Visible(r.name+": "+why), width))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return append([]string{""}, lines...)
}

// totals is a line about all agents, with the trend of their calls.
func (v *view) totals() string {
	var calls, failed float64
	inFlight := 0
	for _, r := range v.rows {
		calls += v.rate[r.name][0]
		failed += v.rate[r.name][1]
		inFlight += r.inFlight
	}
	return fmt.Sprintf("%s, %d in flight, %s calls/s, %s failed/s  %s", plural(len(v.rows), "agent"), inFlight,
		perSecond(calls), perSecond(failed), sparks(v.trend))
}

// A column of the table. On a narrow screen those that matter least are left out.
type column struct {
	head    string
	matters int
	cell    func(*agentRow) string
}

func (v *view) columns() []column {
	number := func(n any) string { return fmt.Sprint(n) }
	return []column{
		{"AGENT", 9, func(r *agentRow) string { return logs.Visible(r.name) }},
		{"READY", 9, func(r *agentRow) string { return fmt.Sprintf("%d/%d", r.ready(), len(r.places)) }},
		{"SINCE", 2, func(r *agentRow) string { return age(r.since()) }},
		{"IN FLIGHT", 6, func(r *agentRow) string { return number(r.inFlight) }},
		{"CALLS/S", 8, func(r *agentRow) string { return perSecond(v.rate[r.name][0]) }},
		{"FAILED/S", 7, func(r *agentRow) string { return perSecond(v.rate[r.name][1]) }},
		{"CALLS", 1, func(r *agentRow) string { return number(r.calls) }},
		{"FAILED", 3, func(r *agentRow) string { return number(r.failures) }},
		{"P50", 0, func(r *agentRow) string { return took(r.calls, r.p50) }},
		{"P99", 5, func(r *agentRow) string { return took(r.calls, r.p99) }},
		{"RESTARTS", 4, func(r *agentRow) string { return number(r.restarts()) }},
	}
}

const (
	lastError = "LAST ERROR"
	// reasonWidth is how much room a reason gets at the cost of columns.
	reasonWidth = 30
)

// table is a line for each agent, below the heads of the columns.
func (v *view) table(width int) []string {
	columns := v.columns()
	cells := make([][]string, len(columns))
	widths := make([]int, len(columns))
	used := len(lastError)
	for _, r := range v.rows {
		used = max(used, min(utf8.RuneCountInString(r.reasons()), reasonWidth))
	}
	for n, c := range columns {
		cells[n] = []string{c.head}
		for _, r := range v.rows {
			cells[n] = append(cells[n], c.cell(r))
		}
		for _, cell := range cells[n] {
			widths[n] = max(widths[n], utf8.RuneCountInString(cell)+2)
		}
		used += widths[n]
	}
	for matters := 0; used > width && matters < 9; matters++ {
		n := slices.IndexFunc(columns, func(c column) bool { return c.matters == matters })
		used -= widths[n]
		widths[n] = 0
	}
	lines := make([]string, len(v.rows)+1)
	for row := range lines {
		for n := range columns {
			if widths[n] > 0 {
				lines[row] += fmt.Sprintf("%-*s", widths[n], cells[n][row])
			}
		}
		if row == 0 {
			lines[row] = v.paint(faint, clip(lines[row]+lastError, width))
			continue
		}
		r := v.rows[row-1]
		lines[row] = clip(strings.TrimRight(lines[row]+logs.Visible(r.reasons()), " "), width)
		switch {
		case r.trouble() > 0:
			lines[row] = v.paint(red, lines[row])
		case v.rate[r.name][1] > 0:
			lines[row] = v.paint(yellow, lines[row])
		}
	}
	return lines
}

// Escape sequences of a terminal.
const (
	topLeft    = "\x1b[H"
	restOfLine = "\x1b[K"
	restBelow  = "\x1b[J"

	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
)

func (v *view) paint(look, text string) string {
	if !v.color {
		return text
	}
	return look + text + "\x1b[0m"
}

// clip cuts a line at the edge of the screen.
func clip(s string, width int) string {
	if r := []rune(s); len(r) > width && width > 0 {
		return string(r[:width-1]) + "…"
	}
	return s
}

func perSecond(n float64) string {
	if n > 0 && n < 10 {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// sparks draws numbers as a line of bars, the highest of them the full height.
func sparks(all []float64) string {
	top := slices.Max(append([]float64{0}, all...))
	bars := []rune("▁▂▃▄▅▆▇█")
	out := make([]rune, 0, len(all))
	for _, n := range all {
		bar := 0
		if top > 0 {
			bar = int(n / top * float64(len(bars)-1))
		}
		out = append(out, bars[bar])
	}
	return string(out)
}
