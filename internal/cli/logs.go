package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/internal/rotate"
	"github.com/openmas/openmas/runtime/project"
)

const (
	// followEvery is how often logs -f looks for new lines.
	followEvery = 200 * time.Millisecond
	logsFolder  = "logs"
)

func (a *App) logsCommand() *cobra.Command {
	var p ProjectFlags
	var f format
	var q logQuery
	var crashed bool
	c := &cobra.Command{
		Use:        "logs [AGENT]",
		SuggestFor: []string{"log", "tail", "journal"},
		Short:      "Show the log of a project",
		Long: `Show the log of a project, whether it runs or not: the last lines of all its processes on this machine, by
time. AGENT has only the lines of one agent, the standard error of its program included. With --crashes it is
how instances have ended that should run on: why, with which calls in flight, and their last lines.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeAgents(&p),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.agent = args[0]
			}
			if q.last < 0 {
				return Usage(errors.New("-n: want a number of lines, or 0 for all"))
			}
			state, err := a.stateDir(&p)
			if err != nil {
				return err
			}
			if crashed {
				return a.showCrashes(state, &q, &f)
			}
			q.files = rotate.Reader{Dir: filepath.Join(state, logsFolder)}
			q.out = a.logWriter(f.json)
			return q.run(c.Context(), a.say)
		},
	}
	p.Register(c)
	c.Flags().BoolVarP(&q.follow, "follow", "f", false, "go on with the lines that come, until Ctrl-C")
	c.Flags().BoolVar(&q.failed, "failed", false, "only calls that failed")
	c.Flags().BoolVar(&crashed, "crashes", false,
		"how instances have ended that should run on, the last 20 of each agent")
	c.MarkFlagsMutuallyExclusive("crashes", "failed")
	c.MarkFlagsMutuallyExclusive("crashes", "follow")
	c.Flags().IntVarP(&q.last, "lines", "n", 100, "how many `LINES`, the last ones; 0: all")
	f.register(c, "one JSON object per line, as in the files")
	return c
}

// stateDir is the state folder of the project that the flags choose.
func (a *App) stateDir(p *ProjectFlags) (string, error) {
	path, err := p.File()
	if err != nil {
		return "", err
	}
	opts, err := a.options(p)
	if err != nil {
		return "", err
	}
	state, err := project.StateDir(path, opts)
	if err != nil {
		return "", Usage(err)
	}
	return state, nil
}

// logWriter shows lines: as they are, or as on a terminal.
func (a *App) logWriter(inJSON bool) func(rotate.Line) error {
	if inJSON {
		return func(l rotate.Line) error {
			text := bytes.TrimSuffix(bytes.TrimSpace(l.Text), []byte("}"))
			_, err := fmt.Fprintf(a.Out, "%s,\"process\":%q}\n", text, l.Process)
			return err
		}
	}
	handler := logs.NewTerminal(a.Out, logs.LevelTrace, OnTerminal(a.Out) && logs.Colors(a.getenv))
	day := time.Now().Format(time.DateOnly)
	return func(l rotate.Line) error {
		r := logs.ReadRecord(l.Text)
		r.Time = r.Time.Local()
		if d := r.Time.Format(time.DateOnly); d != day {
			day = d
			if _, err := io.WriteString(a.Out, d+"\n"); err != nil {
				return err
			}
		}
		return handler.Handle(context.Background(), r)
	}
}

// A logQuery is what is asked of the log.
type logQuery struct {
	agent          string
	failed, follow bool
	last           int // lines; 0: all
	files          rotate.Reader
	out            func(rotate.Line) error

	seen map[string]bool // agents with lines
	some bool            // there are lines
}

func (q *logQuery) wants(l rotate.Line) bool {
	e := logs.ReadEntry(l.Text)
	if e.Time.IsZero() {
		return false
	}
	q.some = true
	if e.Agent != "" {
		q.seen[e.Agent] = true
	}
	return (q.agent == "" || e.Agent == q.agent) &&
		(!q.failed || isFailure(e))
}

// isFailure reports whether a line is about a call that failed.
func isFailure(e logs.Entry) bool {
	return slices.Contains([]string{calls.Failed, calls.FailedAlike, calls.Panicked}, e.Message)
}

func (q *logQuery) run(ctx context.Context, say func(string, ...any)) error {
	q.seen = map[string]bool{}
	n, err := q.show(q.last)
	if err != nil {
		return err
	}
	if n == 0 && !q.follow && q.agent != "" && !q.seen[q.agent] && len(q.seen) > 0 {
		return errors.New(q.explain())
	}
	if n == 0 {
		say("%s", q.explain())
	}
	if !q.follow {
		return nil
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := q.show(0); err != nil {
				return err
			}
		}
	}
}

// show shows the lines that are new, by time, the last most ones.
func (q *logQuery) show(most int) (int, error) {
	lines, err := q.files.Next(most, q.wants)
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	slices.SortStableFunc(lines, func(a, b rotate.Line) int {
		return logs.ReadEntry(a.Text).Time.Compare(logs.ReadEntry(b.Text).Time)
	})
	if most > 0 && len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	for _, l := range lines {
		if err := q.out(l); err != nil {
			return 0, err
		}
	}
	return len(lines), nil
}

// showCrashes shows the last reports of how instances have ended.
func (a *App) showCrashes(state string, q *logQuery, f *format) error {
	all, err := crashes.Read(state)
	if err != nil {
		return fmt.Errorf("read the reports of crashes: %w", err)
	}
	known := map[string]bool{}
	all = slices.DeleteFunc(all, func(r crashes.Report) bool {
		known[r.Agent] = true
		return q.agent != "" && r.Agent != q.agent
	})
	if len(all) == 0 {
		what := "no crash of this project is known"
		if q.agent != "" {
			what = "no crash of " + q.agent + " is known"
		}
		if hint := nearest.Hint(q.agent, slices.Collect(maps.Keys(known))); q.agent != "" && hint != "" {
			what += "; " + hint
		}
		a.say("%s (%s)", what, filepath.Join(state, crashes.Folder))
		return nil
	}
	if q.last > 0 && len(all) > q.last {
		all = all[len(all)-q.last:]
	}
	for n, r := range all {
		switch {
		case f.json:
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "%s\n", line)
			continue
		case n > 0:
			fmt.Fprintln(a.Out)
		}
		if err := showCrash(a.Out, r); err != nil {
			return err
		}
	}
	return nil
}

// showCrash shows a report, in which a program's own words cannot steer the terminal.
func showCrash(w io.Writer, r crashes.Report) error {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(logs.Visible(fmt.Sprintf(format, args...)) + "\n") }
	line("%s  %s  %s", r.At.Local().Format("2006-01-02 15:04:05.000"), r.Instance, crashed(r))
	if r.Times > 1 {
		line("  the same %d times since %s", r.Times, r.First.Local().Format("2006-01-02 15:04:05"))
	}
	line("  restarted %d times before, then %s; openmas process %d", r.Restarts, afterwards(r), r.PID)
	if r.InFlight > 0 {
		line("  in flight: %s", plural(r.InFlight, "call"))
	}
	for _, c := range r.Calls {
		line("    %s  call %s  trace %s  %s", c.Tool, c.Call, cmp.Or(c.Trace, "none"), took(1, c.AgeMS))
	}
	if r.InFlight > len(r.Calls) && len(r.Calls) > 0 {
		line("    and %d more", r.InFlight-len(r.Calls))
	}
	if len(r.LastLines) > 0 {
		line("  its last lines:")
	}
	for _, text := range r.LastLines {
		line("    %s", text)
	}
	for text := range strings.Lines(r.Stack) {
		line("    %s", strings.ReplaceAll(strings.TrimRight(text, "\n"), "\t", "  "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// explain says why there are no lines.
func (q *logQuery) explain() string {
	what := "no lines"
	if q.failed {
		what = "no calls that failed"
	}
	switch {
	case !q.some:
		what += " in " + q.files.Dir + ": no process of the project has kept any"
	case q.agent != "" && len(q.seen) == 0:
		what += " of an agent " + q.agent + " in " + q.files.Dir
	case q.agent != "" && !q.seen[q.agent]:
		what += " of an agent " + q.agent
		if hint := nearest.Hint(q.agent, slices.Collect(maps.Keys(q.seen))); hint != "" {
			what += "; " + hint
		}
	}
	return what
}
