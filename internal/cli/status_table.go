package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/runtime"
)

// A systemStatus is a project that runs, over all its processes on this machine.
type systemStatus struct {
	Processes []runtime.Status `json:"processes"`
}

// An agentRow is an agent over all processes: where it lives, and what its callers saw.
type agentRow struct {
	name     string
	places   []placed
	inFlight int
	calls    int64
	failures int64
	// p50 and p99 in milliseconds are those of the process whose callers waited longest: what is in
	// between cannot be added up.
	p50, p99 float64
	last     *runtime.Failure
	breakers []runtime.BreakerStatus
	waitsFor []string
}

// placed is an instance, and the process that has it.
type placed struct {
	runtime.InstanceStatus
	where string
}

// rows merges what the processes say of the agents. A process knows the instances of others too:
// each is shown once, as its own process has it.
func (s systemStatus) rows() []*agentRow {
	byName := map[string]*agentRow{}
	pid := map[string]string{}
	for _, p := range s.Processes {
		pid[p.Process] = fmt.Sprint(p.PID)
	}
	for _, p := range s.Processes {
		for _, a := range p.Agents {
			r := byName[a.Name]
			if r == nil {
				r = &agentRow{name: a.Name}
				byName[a.Name] = r
			}
			r.inFlight += a.InFlight
			r.calls += a.Calls
			r.failures += a.Failures
			r.breakers = append(r.breakers, a.Breakers...)
			r.p50, r.p99 = max(r.p50, a.P50MS), max(r.p99, a.P99MS)
			if a.LastFailure != nil && (r.last == nil || a.LastFailure.At.After(r.last.At)) {
				r.last = a.LastFailure
			}
			if r.waitsFor == nil {
				r.waitsFor = a.WaitsFor
			}
			for _, i := range a.Instances {
				r.add(i, p.Process, pid)
			}
		}
	}
	out := make([]*agentRow, 0, len(byName))
	for _, r := range byName {
		slices.SortFunc(r.places, func(a, b placed) int {
			return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.where, b.where))
		})
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *agentRow) int { return cmp.Compare(a.name, b.name) })
	return out
}

// add notes an instance that the process from has told of. pid has the processes of this machine.
func (r *agentRow) add(i runtime.InstanceStatus, from string, pid map[string]string) {
	process := cmp.Or(i.Process, from)
	where := cmp.Or(pid[process], i.Host)
	n := slices.IndexFunc(r.places, func(p placed) bool { return p.ID == i.ID && p.Process == process })
	own := i.Process == ""
	i.Process = process
	switch {
	case n < 0:
		r.places = append(r.places, placed{i, where})
	case own:
		r.places[n] = placed{i, where}
	}
}

// reason is why an instance is not as it should be, or gets no calls.
func (r *agentRow) reason(n int) string {
	return cmp.Or(firstLine(r.places[n].Error), r.places[n].Unhealthy, r.broken(r.places[n].ID))
}

// common is what the agent waits for, or why the last call of it failed.
func (r *agentRow) common() string {
	if len(r.waitsFor) > 0 {
		return "waits for " + strings.Join(r.waitsFor, ", ")
	}
	if f := r.last; f != nil {
		return fmt.Sprintf("%s ago %s: %s", age(f.At), cmp.Or(f.Tool, r.name),
			strings.TrimSuffix(fmt.Sprintf("%s: %s", f.Code, firstLine(f.Message)), ": "))
	}
	return ""
}

// broken says which breakers of an instance are not closed.
func (r *agentRow) broken(id string) string {
	var all []string
	for _, b := range r.breakers {
		if b.Instance != id {
			continue
		}
		next := ""
		if wait := time.Until(b.Next); wait > 0 {
			next = fmt.Sprintf(", tried again in %v", max(wait.Round(time.Second), time.Second))
		}
		all = append(all, fmt.Sprintf("breaker of %s %s: %d of %d calls failed (%s)%s", cmp.Or(b.Tool, r.name), b.State,
			b.Failed, b.All, b.Code, next))
	}
	return strings.Join(all, "; ")
}

// reasons is the first reason of any instance, else what is common to them.
func (r *agentRow) reasons() string {
	for n := range r.places {
		if why := r.reason(n); why != "" {
			return why
		}
	}
	return r.common()
}

func (r *agentRow) ready() (n int) {
	for _, i := range r.places {
		if i.State == runtime.StateReady && i.SilentMS == 0 {
			n++
		}
	}
	return n
}

// trouble is how many instances are not ready, nor parked.
func (r *agentRow) trouble() (n int) {
	for _, i := range r.places {
		if i.State != runtime.StateReady && i.State != runtime.StateIdle || i.SilentMS > 0 {
			n++
		}
	}
	return n
}

// since is when the state of an instance last became what it is.
func (r *agentRow) since() (last time.Time) {
	for _, i := range r.places {
		if i.StateSince.After(last) {
			last = i.StateSince
		}
	}
	return last
}

func (r *agentRow) restarts() (n int64) {
	for _, i := range r.places {
		n += i.Restarts
	}
	return n
}

// A statusLine is a line of the table.
type statusLine struct {
	name  string
	cells []any
	why   string
}

// lines are those of an agent: one for each instance, and where there are several one above them
// with what the callers saw of the agent.
func (r *agentRow) lines(several bool) []statusLine {
	where := func(at string) (cells []any) {
		if several {
			cells = append(cells, at)
		}
		return cells
	}
	seen := []any{r.calls, r.failures, took(r.calls, r.p50), took(r.calls, r.p99)}
	if len(r.places) == 1 {
		i := r.places[0]
		return []statusLine{{i.ID, append(append(where(i.where), stateOf(i.InstanceStatus), age(i.StateSince),
			i.InFlight, i.Served, i.Restarts), seen...), r.reasons()}}
	}
	all := statusLine{r.name, where(""), r.common()}
	var inFlight int
	var served int64
	var below []statusLine
	for n, i := range r.places {
		inFlight, served = inFlight+i.InFlight, served+i.Served
		below = append(below, statusLine{"  " + i.ID, append(where(i.where), stateOf(i.InstanceStatus),
			age(i.StateSince), i.InFlight, i.Served, i.Restarts, "", "", "", ""), r.reason(n)})
	}
	ready := fmt.Sprintf("%d of %d ready", r.ready(), len(r.places))
	all.cells = append(append(all.cells, ready, age(r.since()), inFlight, served, r.restarts()), seen...)
	return append([]statusLine{all}, below...)
}

// showStatus shows the processes, and then the agents of all of them, in lines of at most width
// characters; 0: of any length. Errors for which the table has no room are below it.
func showStatus(w io.Writer, s systemStatus, width int) error {
	for _, p := range s.Processes {
		fmt.Fprintln(w, folded(logs.Visible(headline(p)), width))
	}
	rows := s.rows()
	if len(rows) == 0 {
		return nil
	}
	several := len(s.Processes) > 1
	var lines []statusLine
	for _, r := range rows {
		lines = append(lines, r.lines(several)...)
	}
	head := []any{"INSTANCE"}
	if several {
		head = append(head, "PROCESS")
	}
	head = append(head, "STATE", "SINCE", "IN FLIGHT", "SERVED", "RESTARTS", "CALLS", "FAILED", "P50", "P99")
	within := errorsFit(head, lines, width)
	out := newTable(w)
	if within {
		head = append(head, "LAST ERROR")
	}
	out.row(head...)
	for _, l := range lines {
		row := append([]any{l.name}, l.cells...)
		if within {
			row = append(row, l.why)
		}
		out.row(row...)
	}
	if err := out.flush(); err != nil {
		return err
	}
	for _, l := range lines {
		if !within && l.why != "" {
			fmt.Fprintln(w, cut(logs.Visible(strings.TrimSpace(l.name)+": "+l.why), width))
		}
	}
	for _, r := range rows {
		for _, i := range r.places {
			if c := i.LastCrash; c != nil {
				fmt.Fprintln(w, folded(logs.Visible(fmt.Sprintf("crash of %s %s ago: %s, %s in flight; then %s",
					c.Instance, age(c.At), crashed(*c), plural(c.InFlight, "call"), afterwards(*c))), width))
			}
		}
	}
	return nil
}

// errorsFit reports whether the table has room for the errors in lines of that width.
func errorsFit(head []any, lines []statusLine, width int) bool {
	if width == 0 {
		return true
	}
	widths := make([]int, len(head))
	longest := len("LAST ERROR")
	measure := func(cells []any) {
		for n, c := range cells {
			widths[n] = max(widths[n], utf8.RuneCountInString(logs.Visible(fmt.Sprint(c))))
		}
	}
	measure(head)
	for _, l := range lines {
		measure(append([]any{l.name}, l.cells...))
		longest = max(longest, utf8.RuneCountInString(logs.Visible(l.why)))
	}
	for _, n := range widths {
		longest += n + 2
	}
	return longest <= width
}

// crashed says in a line how an instance has ended that should run on.
func crashed(c runtime.Crash) string {
	how := firstLine(c.Error)
	if c.What == crashes.Runner {
		how = "its Runner ended: " + how
	}
	if c.Times > 1 {
		how += fmt.Sprintf(" (%d times)", c.Times)
	}
	return how
}

// afterwards says what came after a crash.
func afterwards(c runtime.Crash) string {
	switch wait := c.NextAt.Sub(c.At).Round(time.Millisecond); {
	case c.Next == string(runtime.StateFailed):
		return "failed for good"
	case c.NextAt.IsZero():
		return "restarted at once"
	case c.Next == string(runtime.StateBackoff):
		return fmt.Sprintf("rested for %v", wait)
	default:
		return fmt.Sprintf("restarted after %v", wait)
	}
}

// headline says which process it is, and how it is.
func headline(s runtime.Status) string {
	parts := []string{fmt.Sprintf("%s: %s, process %d, up %s", s.Project, s.State, s.PID, age(s.Started))}
	if s.URL != "" {
		parts = append(parts, s.URL)
	}
	if s.WaitsFor != "" {
		parts = append(parts, "waits for "+s.WaitsFor)
	}
	return strings.Join(parts, ", ")
}

// took is a duration in milliseconds as people write it; empty where nothing was called.
func took(calls int64, ms float64) string {
	switch {
	case calls == 0:
		return ""
	case ms < 1:
		return "<1ms"
	case ms < 10_000:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.1fs", ms/1000)
}
