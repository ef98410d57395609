package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

// reason is why an instance is not as it should be, or gets no calls; of the first one, also why
// the last call failed, or what the agent waits for.
func (r *agentRow) reason(n int) string {
	why := cmp.Or(firstLine(r.places[n].Error), r.places[n].Unhealthy, r.broken(r.places[n].ID))
	if n > 0 || why != "" {
		return why
	}
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

// reasons is the first reason of any instance.
func (r *agentRow) reasons() string {
	for n := range r.places {
		if why := r.reason(n); why != "" {
			return why
		}
	}
	return ""
}

func (r *agentRow) ready() (n int) {
	for _, i := range r.places {
		if i.State == runtime.StateReady {
			n++
		}
	}
	return n
}

// trouble is how many instances are not ready, nor parked.
func (r *agentRow) trouble() (n int) {
	for _, i := range r.places {
		if i.State != runtime.StateReady && i.State != runtime.StateIdle {
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

// showStatus shows the processes, and then the agents of all of them.
func showStatus(w io.Writer, s systemStatus) error {
	for _, p := range s.Processes {
		fmt.Fprintln(w, logs.Visible(headline(p)))
	}
	rows := s.rows()
	if len(rows) == 0 {
		return nil
	}
	out := newTable(w)
	several := len(s.Processes) > 1
	head := []any{"INSTANCE"}
	if several {
		head = append(head, "PROCESS")
	}
	out.row(append(head, "STATE", "SINCE", "IN FLIGHT", "SERVED", "RESTARTS", "CALLS", "FAILED", "P50", "P99",
		"LAST ERROR")...)
	for _, r := range rows {
		for n, i := range r.places {
			row := []any{i.ID}
			if several {
				row = append(row, i.where)
			}
			row = append(row, i.State, age(i.StateSince), i.InFlight, i.Served, i.Restarts)
			if n == 0 { // what callers saw of the agent is in the first
				row = append(row, r.calls, r.failures, took(r.calls, r.p50), took(r.calls, r.p99))
			} else {
				row = append(row, "", "", "", "")
			}
			out.row(append(row, r.reason(n))...)
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	for _, r := range rows {
		for _, i := range r.places {
			if c := i.LastCrash; c != nil {
				fmt.Fprintln(w, logs.Visible(fmt.Sprintf("crash of %s %s ago: %s, %s in flight; then %s", c.Instance,
					age(c.At), crashed(*c), plural(c.InFlight, "call"), afterwards(*c))))
			}
		}
	}
	return nil
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
