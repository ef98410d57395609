package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
)

// reloaded is what openmas reload has done, as --json shows it.
type reloaded struct {
	DryRun    bool              `json:"dryRun,omitempty"`
	Processes []reloadedProcess `json:"processes"`
}

type reloadedProcess struct {
	PID     int    `json:"pid"`
	Process string `json:"process"`
	runtime.Reloaded
}

func (a *App) reloadCommand() *cobra.Command {
	var project ProjectFlags
	var log LogFlags
	var f format
	var dry bool
	c := &cobra.Command{
		Use:   "reload [@PROCESS]",
		Short: "Have a project that runs take its changed project file",
		Long: `Have a project that runs read its project file anew, with the flags and the environment that it was
started with, and change what has changed there, one agent after the other: + it is new, - it is not there
any more, ~ its settings are others. A changed agent is started with its new settings before the old one,
whose calls in flight end first (within drain.timeout), is stopped; with swap: stop_first it is the other way
round. No call is lost. The rest is left alone. A file that is wrong, or changes what cannot change while the
system runs, changes nothing. The programs are not built anew: that takes a new openmas run.

@PROCESS is one of the processes of the project on this machine, by its pid or its name as openmas status
shows them; left out, it is all. A process that is not started from a terminal does the same on SIGHUP.`,
		Example: "  openmas reload --dry-run\n  openmas reload",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var at place
			if len(args) == 1 {
				process, ok := strings.CutPrefix(args[0], "@")
				if !ok || process == "" {
					return Usage(fmt.Errorf("%s: it is a process that is reloaded: @PROCESS, or none for all", args[0]))
				}
				at.process = process
			}
			return a.reload(c.Context(), at, dry, &project, &log, &f)
		},
	}
	project.Register(c)
	_ = c.Flags().MarkHidden("set") // it is there, and refused: see reload
	log.Register(c, "warn")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would change, and change nothing")
	f.register(c, "as JSON")
	return c
}

// reload reloads processes one after the other. All are asked first, so that a bad file changes
// nothing anywhere.
func (a *App) reload(ctx context.Context, at place, dry bool, pf *ProjectFlags, lf *LogFlags, f *format) error {
	if len(pf.set) > 0 {
		return Usage(errors.New("--set changes nothing here: each process reads its project file with the flags of " +
			"its start; write the key into the project file, or start anew"))
	}
	file, err := pf.File()
	if err != nil {
		return err
	}
	of, end, err := a.operable(ctx, file, at, lf)
	if err != nil {
		return err
	}
	defer end()
	would, err := a.reloadAll(ctx, of, true)
	if err != nil || dry {
		return errors.Join(err, a.showReload(f, would, err))
	}
	done, err := a.reloadAll(ctx, of, false)
	return errors.Join(a.showReload(f, done, err), err)
}

// reloadAll reloads processes until one fails.
func (a *App) reloadAll(ctx context.Context, of processes, dry bool) (reloaded, error) {
	done := reloaded{DryRun: dry}
	for _, p := range of {
		one := reloadedProcess{PID: p.status.PID, Process: p.Process}
		if err := p.reporting(ctx, "reload", map[string]any{"dryRun": dry}, &one.Reloaded, a.steps()); err != nil {
			return done, fmt.Errorf("process %d: %w", one.PID, err)
		}
		done.Processes = append(done.Processes, one)
		for _, c := range one.Changes {
			if c.Error != "" && !c.Done {
				return done, fmt.Errorf("process %d: agent %s is not %s, and nothing after it was changed: %s", one.PID,
					c.Agent, c.Kind, c.Error)
			}
		}
	}
	return done, nil
}

// showReload shows what was done before err, if anything was.
func (a *App) showReload(f *format, done reloaded, err error) error {
	if err != nil && len(done.Processes) == 0 {
		return nil
	}
	return f.print(a.Out, done, func(w io.Writer) error {
		for _, p := range done.Processes {
			showReloaded(w, p, done.DryRun)
		}
		return nil
	})
}

func showReloaded(w io.Writer, p reloadedProcess, dry bool) {
	made := 0
	for _, c := range p.Changes {
		if c.Done {
			made++
		}
		fmt.Fprintln(w, changeText(c, dry))
	}
	switch {
	case len(p.Changes) == 0:
		fmt.Fprintf(w, "nothing has changed in the project file (process %d)\n", p.PID)
	case dry:
		fmt.Fprintf(w, "%s to make in process %d: --dry-run changes nothing\n", plural(len(p.Changes), "change"), p.PID)
	default:
		fmt.Fprintf(w, "%s of %d made in process %d\n", plural(made, "change"), len(p.Changes), p.PID)
	}
}

// changeText shows one change, and what has become of it.
func changeText(c runtime.Change, dry bool) string {
	sign := map[string]string{"added": "+", "removed": "-"}[c.Kind]
	if sign == "" {
		sign = "~"
	}
	keys := make([]string, len(c.Keys))
	for i, k := range c.Keys {
		keys[i] = k.String()
	}
	text := sign
	if c.Agent != "" {
		text += " agent " + c.Agent
	}
	if len(keys) > 0 {
		if c.Agent != "" {
			text += ":"
		}
		text += " " + strings.Join(keys, ", ")
	}
	took := (time.Duration(c.TookMS) * time.Millisecond).Round(10 * time.Millisecond)
	switch {
	case c.Kind == "changed" && c.Swap == "":
		text += " (it runs in another process)"
	case dry && c.Swap != "":
		text += " (" + c.Swap + ")"
	case dry || c.Kind == "setting":
	case c.Done && c.Error != "":
		text += "; it is not up yet, and is tried again: " + c.Error
	case c.Done:
		text += fmt.Sprintf(" (in %v)", took)
	default:
		text += " (not made)"
	}
	if c.Cut != "" {
		text += "; cut off: " + c.Cut
	}
	return text
}
