package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

func (a *App) statusCommand() *cobra.Command {
	var t targetFlags
	var f format
	var watch bool
	c := &cobra.Command{
		Use:        "status",
		SuggestFor: []string{"ps", "top", "state", "health", "watch"},
		Short:      "Show how a project that runs is doing",
		Long: `Show the agents of a project that runs on this machine: their instances, state and since when, calls that
run, how long calls took, how many failed, restarts, and the last error. Calls are those of callers in the
processes shown; SERVED is how many an instance has taken from all callers. With --url it is a running
system elsewhere, which tells strangers less.
With -w it is shown anew every second, what is in trouble on top, until q or Ctrl-C; once, where standard
output is no terminal.`,
		Args: NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.check(); err != nil {
				return err
			}
			look := func(ctx context.Context, log *slog.Logger) (systemStatus, error) { return a.status(ctx, &t, log) }
			if out, ok := a.Out.(*os.File); watch && !f.json && ok && OnTerminal(out) && a.getenv("TERM") != "dumb" {
				return a.watch(c.Context(), out, &t.log, look)
			}
			log, err := a.Logger(&t.log)
			if err != nil {
				return err
			}
			s, err := look(c.Context(), log)
			if err != nil {
				return err
			}
			return f.print(a.Out, s, func(w io.Writer) error { return showStatus(w, s, widthOf(w)) })
		},
	}
	t.project.Register(c)
	t.server.Register(c)
	t.log.Register(c, "warn")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show it anew every second")
	f.register(c, "as JSON, every tool included")
	return c
}

// status asks the processes of the project, or the system at the URL.
func (a *App) status(ctx context.Context, t *targetFlags, log *slog.Logger) (s systemStatus, err error) {
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
	file, err := t.project.File()
	if err != nil {
		return s, err
	}
	all, err := running(ctx, file, log, a.say)
	if err != nil {
		return s, err
	}
	if len(all) == 0 {
		return s, fmt.Errorf("no process of %s runs on this machine: openmas run starts one", file)
	}
	for _, p := range all {
		for _, one := range p.status.Agents {
			a.named(one.Instances)
		}
		s.Processes = append(s.Processes, p.status)
	}
	return s, all.close(ctx)
}
