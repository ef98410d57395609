package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

// A systemStatus is a project that runs, over all its processes on this machine.
type systemStatus struct {
	Processes []runtime.Status `json:"processes"`
}

func (a *App) statusCommand() *cobra.Command {
	var t targetFlags
	var f format
	c := &cobra.Command{
		Use:        "status",
		SuggestFor: []string{"ps", "top", "state", "health"},
		Short:      "Show how a project that runs is doing",
		Long: `Show the agents of a project that runs on this machine: their instances, state and since when, calls that
run, how long calls took, how many failed, restarts, and the last error. Calls are those of callers in the
same process. With --url it is a running system elsewhere, which tells strangers less.`,
		Args: NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.status(c.Context(), &t)
			if err != nil {
				return err
			}
			return f.print(a.Out, s, func(w io.Writer) error { return showStatus(w, s) })
		},
	}
	t.project.Register(c)
	t.server.Register(c)
	t.log.Register(c, "warn")
	f.register(c, "as JSON, every tool included")
	return c
}

// status asks the processes of the project, or the system at the URL.
func (a *App) status(ctx context.Context, t *targetFlags) (s systemStatus, err error) {
	if err := t.check(); err != nil {
		return s, err
	}
	log, err := a.Logger(&t.log)
	if err != nil {
		return s, err
	}
	if t.server.given() {
		session, err := a.connect(ctx, &t.server, log)
		if err != nil {
			return s, err
		}
		defer func() { _ = closing(ctx, session) }()
		res, err := session.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "openmas_status", Attempt: 1})
		if err != nil {
			return s, fmt.Errorf("ask %s for its status: %w", t.server.URL, err)
		}
		s.Processes = make([]runtime.Status, 1)
		return s, res.Decode(&s.Processes[0])
	}
	file, err := t.project.file()
	if err != nil {
		return s, err
	}
	all, err := running(ctx, file, log, a.Err)
	if err != nil {
		return s, err
	}
	if len(all) == 0 {
		return s, fmt.Errorf("no process of %s runs on this machine: openmas run starts one", file)
	}
	for _, p := range all {
		s.Processes = append(s.Processes, p.status)
	}
	return s, all.close(ctx)
}

// showStatus shows a process after the other, each with its agents.
func showStatus(w io.Writer, s systemStatus) error {
	for n, p := range s.Processes {
		if n > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, visible(headline(p)))
		if len(p.Agents) == 0 {
			continue
		}
		out := newTable(w)
		out.row("INSTANCE", "STATE", "SINCE", "IN FLIGHT", "SERVED", "RESTARTS", "CALLS", "FAILED", "P50", "P99",
			"LAST ERROR")
		for _, a := range p.Agents {
			showAgent(out, a)
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
	return nil
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

// showAgent has a row for each instance; what callers saw of the agent is in the first.
func showAgent(out table, a runtime.AgentStatus) {
	for n, i := range a.Instances {
		reason := cmp.Or(firstLine(i.Error), i.Unhealthy)
		calls := []any{"", "", "", ""}
		if n == 0 {
			calls = []any{a.Calls, a.Failures, took(a.Calls, a.P50MS), took(a.Calls, a.P99MS)}
			if f := a.LastFailure; f != nil && reason == "" {
				reason = fmt.Sprintf("%s ago %s: %s", age(f.At), cmp.Or(f.Tool, a.Name),
					strings.TrimSuffix(fmt.Sprintf("%s: %s", f.Code, firstLine(f.Message)), ": "))
			}
			if len(a.WaitsFor) > 0 && reason == "" {
				reason = "waits for " + strings.Join(a.WaitsFor, ", ")
			}
		}
		row := append([]any{i.ID, i.State, age(i.StateSince), i.InFlight, i.Served, i.Restarts}, calls...)
		out.row(append(row, cut(reason))...)
	}
}

// maxReason bounds a reason in a table, in characters.
const maxReason = 80

func cut(s string) string {
	if r := []rune(s); len(r) > maxReason {
		return string(r[:maxReason-1]) + "…"
	}
	return s
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
