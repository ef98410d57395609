package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/internal/ops"
	"github.com/openmas/openmas/runtime"
)

// A place names what is operated: AGENT[@PROCESS][/N].
type place struct {
	agent, process string
	instance       *int
}

func parsePlace(text string) (place, error) {
	rest, number, numbered := strings.Cut(text, "/")
	name, process, chosen := strings.Cut(rest, "@")
	p := place{agent: name, process: process}
	if numbered {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return p, Usage(fmt.Errorf("%s: the instances of an agent are numbered: %s/0", text, rest))
		}
		p.instance = &n
	}
	if name == "" || chosen && process == "" {
		return p, Usage(fmt.Errorf("%s: name an agent as AGENT[@PROCESS][/N]", text))
	}
	return p, nil
}

// operated is what a command has done, as --json shows it.
type operated struct {
	Processes []operatedProcess `json:"processes"`
}

type operatedProcess struct {
	PID     int    `json:"pid"`
	Process string `json:"process"`
	runtime.Operated
}

// An operateCommand restarts, stops or starts agents of processes that run.
type operateCommand struct {
	use, short, long string
	all              string // what --all means
}

func (a *App) restartCommand() *cobra.Command {
	return a.operating(operateCommand{use: "restart", short: "Restart an agent of a project that runs",
		all: "restart every agent, one after the other",
		long: `Restart an agent, or one instance of it. Its instances are restarted one after the other: each takes no new
calls, which go to another one or wait (ready_wait), ends those in flight (within drain.timeout), and comes
back with a fresh process, session or Go struct. No call is lost. Agents under its restarts_with follow.`})
}

func (a *App) stopCommand() *cobra.Command {
	return a.operating(operateCommand{use: "stop", short: "Stop an agent of a project that runs, or the project",
		all: "stop the processes of the project that run on this machine",
		long: `Stop an agent, or one instance of it, until openmas start. Calls in flight end first (within drain.timeout);
calls that come later fail at once, and say why. It stays listed. With --all it is the whole process that
stops in order, as with Ctrl-C there.`})
}

func (a *App) startCommand() *cobra.Command {
	return a.operating(operateCommand{use: "start", short: "Start an agent of a project that runs",
		all: "start every agent that does not run",
		long: `Start an agent that was stopped, or one instance of it. One that has failed, or waits for its next attempt, is
tried again at once. openmas run starts a project that does not run.`})
}

func (a *App) operating(o operateCommand) *cobra.Command {
	var project ProjectFlags
	var log LogFlags
	var f format
	var all bool
	c := &cobra.Command{
		Use:   o.use + " AGENT[@PROCESS][/N]",
		Short: o.short,
		Long: o.long + `

@PROCESS is one of the processes of the project on this machine, by its pid or its name as openmas status
shows them; left out, it is all that have the agent. /N is one instance, as openmas status shows it. --all
@PROCESS is all of one process.`,
		Example: "  openmas " + o.use + " weather\n  openmas " + o.use + " weather/1",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := o.place(args, all)
			if err != nil {
				return err
			}
			return a.operate(c.Context(), o.use, p, &project, &log, &f)
		},
		ValidArgsFunction: a.completeAgents(&project),
	}
	project.Register(c)
	log.Register(c, "warn")
	c.Flags().BoolVar(&all, "all", false, o.all)
	f.register(c, "as JSON")
	return c
}

// place is what the command is for: an agent, or with --all all processes or the one that is named.
func (o operateCommand) place(args []string, all bool) (place, error) {
	if !all && len(args) == 1 {
		return parsePlace(args[0])
	}
	if all && len(args) == 0 {
		return place{}, nil
	}
	if all {
		if process, ok := strings.CutPrefix(args[0], "@"); ok && process != "" {
			return place{process: process}, nil
		}
	}
	return place{}, Usage(fmt.Errorf("name an agent as AGENT[@PROCESS][/N], or --all or --all @PROCESS to %s", o.all))
}

// operable finds the processes of the project that run here and are meant. end is called when the
// command is done with them.
func (a *App) operable(ctx context.Context, file string, at place, lf *LogFlags) (of processes, end func(),
	err error) {
	log, err := a.Logger(lf)
	if err != nil {
		return nil, nil, err
	}
	all, err := running(ctx, file, log, a.say)
	if err != nil {
		return nil, nil, err
	}
	end = func() { _ = all.close(ctx) } // what it said is known by then
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("no process of %s runs on this machine: openmas run starts one", file)
	}
	if of, err = all.having(at); err != nil {
		end()
		return nil, nil, err
	}
	return of, end, nil
}

// operate does what verb says to an agent, or to everything when none is named, in the processes
// that have it, one after the other.
func (a *App) operate(ctx context.Context, verb string, at place, pf *ProjectFlags, lf *LogFlags, f *format) error {
	file, err := pf.File()
	if err != nil {
		return err
	}
	of, end, err := a.operable(ctx, file, at, lf)
	if err != nil {
		return err
	}
	defer end()
	var done operated
	for _, p := range of {
		one := operatedProcess{PID: p.status.PID, Process: p.Process}
		in := map[string]any{"all": at.agent == ""}
		if at.agent != "" {
			in["agent"], in["instance"] = at.agent, at.instance
		}
		if at.instance == nil {
			delete(in, "instance")
		}
		if err := p.reporting(ctx, verb, in, &one.Operated, a.steps()); err != nil {
			return err
		}
		if one.Stopping {
			if err := p.gone(ctx, file); err != nil {
				return err
			}
		}
		done.Processes = append(done.Processes, one)
	}
	return f.print(a.Out, done, func(w io.Writer) error { return showOperated(w, verb, done) })
}

// having are the processes that a place means.
func (all processes) having(at place) (processes, error) {
	var known []string
	of := processes{}
	for _, p := range all {
		if at.process != "" && at.process != p.Process && at.process != strconv.Itoa(p.status.PID) {
			continue
		}
		for _, a := range p.status.Agents {
			known = append(known, a.Name)
		}
		if at.agent == "" || p.hosts(at.agent) {
			of = append(of, p)
		}
	}
	switch {
	case len(of) > 0:
		return of, nil
	case known == nil:
		return nil, fmt.Errorf("no process %s of the project runs on this machine: openmas status shows them", at.process)
	case slices.Contains(known, at.agent):
		return nil, fmt.Errorf("agent %s runs in a process on another machine, or in another one than @%s", at.agent,
			at.process)
	}
	slices.Sort(known)
	err := fmt.Errorf("there is no agent %q", at.agent)
	if hint := nearest.Hint(at.agent, slices.Compact(known)); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return nil, err
}

// steps shows what a process is doing.
func (a *App) steps() agent.BackChannel {
	return agent.BackChannelFuncs{
		OnProgress: func(n agent.ProgressNotice) { a.say("%s", n.Message) },
	}
}

// lookEvery is how often a command looks whether a process has ended.
const lookEvery = 50 * time.Millisecond

// gone waits for the end of a process that stops.
func (p *runningProcess) gone(ctx context.Context, file string) error {
	id, err := ops.ProjectOf(file)
	if err != nil {
		return nil //nolint:nilerr // the project file is gone, and with it what could be looked for
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		left, err := ops.Find(ctx, id)
		if err == nil && !slices.ContainsFunc(left, func(e ops.Endpoint) bool { return e.Process == p.Process }) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d stops, and has not ended: %w", p.status.PID, context.Cause(ctx))
		}
	}
}

// showOperated says what has become of each instance.
func showOperated(w io.Writer, verb string, done operated) error {
	past := map[string]string{"restart": "restarted", "stop": "stopped", "start": "started"}[verb]
	for _, p := range done.Processes {
		if p.Stopping {
			fmt.Fprintf(w, "process %d has stopped\n", p.PID)
			continue
		}
		for _, i := range p.Instances {
			cut := ""
			if i.Cut != "" {
				cut = "; cut off: " + i.Cut
			}
			fmt.Fprintf(w, "%s %s in %v (process %d)%s\n", i.ID, past,
				(time.Duration(i.TookMS) * time.Millisecond).Round(10*time.Millisecond), p.PID, cut)
		}
		if len(p.Instances) == 0 {
			fmt.Fprintf(w, "nothing to %s in process %d\n", verb, p.PID)
		}
	}
	return nil
}
