package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/check"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

func (a *App) validateCommand() *cobra.Command {
	var p ProjectFlags
	var f format
	var print, schema, probe bool
	var processes []string
	c := &cobra.Command{
		Use:        "validate [PROJECT]",
		SuggestFor: []string{"check", "lint", "verify"},
		Short:      "Check a project file",
		Long: `Check a project file, with the types and requirements of its agents, and how they go together. Nothing is
started. All that is wrong is shown at once, each with its line and with what to do. The exit code is 0 when
all is well, and 2 when something is an error; a warning or a note is none. A program or a folder (dir) that
is not on this machine is a warning.

With --probe the programs under command are started, and the servers under url connected, to ask them what
they offer; then they are ended. start.parallel says how many at the same time, start.timeout and
connect.timeout for how long. One that does not answer is an error, and so is a tool that it does not have.
A broker that the program brings is connected to as well: only its driver knows broker.options.

With --print the effective configuration follows, each value with its source, secrets masked.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if schema {
				_, err := io.WriteString(a.Out, project.Schema())
				return err
			}
			if err := p.Argument(args); err != nil {
				return err
			}
			e, err := a.examine(c.Context(), &p, probe)
			if err != nil {
				return a.unfinished(f, &p, e, err)
			}
			if err := a.report(f, &p, e); err != nil {
				return err
			}
			cfg := e.cfg
			if err := covered(cfg, processes); err != nil {
				return err
			}
			if print {
				return project.Print(a.Out, cfg)
			}
			if f.json {
				return nil
			}
			_, err = fmt.Fprintf(a.Out, "%s is fine: %s%s\n", cfg.File, plural(len(cfg.Agents), "agent"), e.offers())
			return err
		},
	}
	p.Register(c)
	f.register(c, "print what was found as JSON")
	c.Flags().BoolVar(&print, "print", false, "print the effective configuration")
	c.Flags().BoolVar(&probe, "probe", false, "also start the commands and connect to the urls, ask them what they "+
		"offer, and check that")
	c.Flags().BoolVar(&schema, "schema", false,
		"print the JSON schema of project files, for editors, and check nothing")
	c.Flags().StringArrayVar(&processes, "agents", nil, "the `AGENTS` that one process hosts: a,b (once for each "+
		"process); one that no process hosts is an error")
	c.MarkFlagsMutuallyExclusive("json", "print")
	c.MarkFlagsMutuallyExclusive("schema", "probe")
	return c
}

// An examined project is one with what is wrong with it, and what is worth to know.
type examined struct {
	cfg    *project.Config // nil: it cannot be read
	found  []check.Problem
	probed []runtime.Probed
}

// examine checks a project. The error is one of reading or building it, and of nothing that is
// written there. Foreign agents are asked only if nothing keeps the project from starting.
func (a *App) examine(ctx context.Context, p *ProjectFlags, probe bool) (e examined, err error) {
	var r *runtime.Runtime
	e.cfg, err = a.readProject(p)
	e.found, err = problems(err)
	if e.cfg == nil || err != nil {
		return e, err
	}
	switch built, err := problems(a.become(ctx, e.cfg)); {
	case err != nil && len(e.found) > 0:
		return e, nil // the compiler has spoken for itself
	case err != nil:
		return examined{}, err
	case len(built) > 0: // its types are not known
		e.found = append(e.found, built...)
	default:
		if len(e.found) > 0 {
			err = runtime.Check(e.cfg, a.Types)
		} else {
			r, err = a.NewRuntime(ctx, e.cfg, runtime.Options{})
		}
		more, err := problems(err)
		if err != nil {
			return examined{}, err
		}
		e.found = check.Join(e.found, more)
	}
	var more []check.Problem
	var cut error
	switch {
	case probe && r != nil:
		more = check.Broker(e.cfg, true, r.ProbeBroker(ctx))
		if e.probed, cut = a.probe(ctx, r, e.cfg); cut != nil {
			e.probed = slices.DeleteFunc(e.probed, func(p runtime.Probed) bool { return givenUp(p.Err) })
		}
	case r != nil:
		more = check.Broker(e.cfg, false, nil)
	case probe:
		a.say("nothing was started or asked: correct the errors first")
	}
	more = append(more, check.Project(e.cfg, a.Types, e.probed)...)
	if r == nil || !probe {
		more = append(more, check.Missing(e.cfg)...)
	}
	e.found = check.Join(e.found, more)
	return e, cut
}

// givenUp reports whether an agent was waited for when the check ended.
func givenUp(err error) bool {
	return errors.Is(err, agent.CodeCanceled) || errors.Is(err, context.Canceled)
}

// problems are those that an error has, if it is about the project. Another one comes back.
func problems(err error) ([]check.Problem, error) {
	var exit *exitError
	var wrong *project.Error
	if err != nil && !errors.As(err, &wrong) && (!errors.As(err, &exit) || exit.code != exitUsage) {
		return nil, err
	}
	if exit != nil {
		err = exit.err
	}
	return check.Errors(err), nil
}

// probe asks the foreign agents of a project what they offer. Standard error has a line for each
// answer on a terminal, and one for those that are waited for elsewhere too.
func (a *App) probe(ctx context.Context, r *runtime.Runtime, cfg *project.Config) ([]runtime.Probed, error) {
	say := func(format string, args ...any) {
		a.say("%s", logs.Visible(cfg.Redact(fmt.Sprintf(format, args...))))
	}
	o := runtime.ProbeOptions{Waits: func(text string) { say("waiting for %s", text) }}
	foreign := func(name string) bool { return cfg.Agents[name].Kind() != project.KindType }
	if OnTerminal(a.Err) && slices.ContainsFunc(cfg.AgentNames(), foreign) {
		say("asking the commands and urls of the project what they offer")
		o.Done = func(p runtime.Probed) {
			took := p.Took.Round(time.Millisecond)
			if p.Err != nil {
				say("%s could not be asked (%v)", p.Agent, took)
				return
			}
			say("%s offers %s (%v)", p.Agent, offer(p.Info), took)
		}
	}
	return r.Probe(ctx, o)
}

// offers is what the agents that were asked offer.
func (e examined) offers() string {
	text := ""
	for _, p := range e.probed {
		if p.Err == nil {
			text += fmt.Sprintf("; %s offers %s", p.Agent, offer(p.Info))
		}
	}
	return text
}

// offer counts what an agent offers.
func offer(info agent.Info) string {
	text := plural(len(info.Tools), "tool")
	if n := len(info.Prompts); n > 0 {
		text += ", " + plural(n, "prompt")
	}
	if n := len(info.Resources); n > 0 {
		text += ", " + plural(n, "resource")
	}
	return text
}

// A probedOffer is what an agent offers by name, in JSON.
type probedOffer struct {
	Tools     []string `json:"tools"`
	Prompts   []string `json:"prompts,omitempty"`
	Resources []string `json:"resources,omitempty"`
}

// probedOffers are those of the agents that were asked.
func (e examined) probedOffers() map[string]probedOffer {
	all := map[string]probedOffer{}
	for _, p := range e.probed {
		o := probedOffer{Tools: []string{}}
		for _, t := range p.Info.Tools {
			o.Tools = append(o.Tools, t.Name)
		}
		for _, x := range p.Info.Prompts {
			o.Prompts = append(o.Prompts, x.Name)
		}
		for _, x := range p.Info.Resources {
			o.Resources = append(o.Resources, x.Key())
		}
		if p.Err == nil {
			all[p.Agent] = o
		}
	}
	return all
}

// json shows what was found as JSON.
func (a *App) json(e examined) error {
	return WriteJSON(a.Out, struct {
		OK       bool                   `json:"ok"`
		Problems []check.Problem        `json:"problems"`
		Offers   map[string]probedOffer `json:"offers,omitempty"`
	}{check.Count(e.found, check.Error) == 0, append([]check.Problem{}, e.found...), e.probedOffers()})
}

// unfinished shows what a check that failed, or was given up, had found until then.
func (a *App) unfinished(f format, p *ProjectFlags, e examined, err error) error {
	if !f.json {
		_ = a.report(f, p, e) // err says how the command ended
		return err
	}
	e.found = append(e.found, check.Errors(err)...)
	return errors.Join(err, a.json(e))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// report shows the problems; the error says that some of them are errors.
func (a *App) report(f format, p *ProjectFlags, e examined) error {
	cfg, found := e.cfg, e.found
	for n := range found {
		found[n].Message, found[n].Help = a.called.In(found[n].Message), a.called.In(found[n].Help)
	}
	wrong := check.Count(found, check.Error)
	switch {
	case f.json:
		if err := a.json(e); err != nil {
			return err
		}
	case cfg == nil && len(found) == 1 && !isFile(found[0].File):
		return Usage(errors.New(visibleLines(found[0].OneLine())))
	default:
		color := OnTerminal(a.Err) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
		printer := check.Printer{Color: color}
		if a.cfg != nil {
			printer.Redact = a.cfg.Redact
		}
		for _, one := range found {
			one.Message, one.Help = visibleLines(one.Message), visibleLines(one.Help)
			one.Stdout = logs.Visible(logs.StripColors(one.Stdout))
			for i, line := range one.Stderr {
				one.Stderr[i] = logs.Visible(logs.StripColors(logs.Brief(line)))
			}
			fmt.Fprintf(a.Err, "%s\n", printer.Text(one))
		}
	}
	switch {
	case wrong == 0:
		return nil
	case f.json:
		return Exit(exitUsage)
	}
	name := "the project"
	if cfg != nil {
		name = cfg.File
	} else if path, err := p.File(); err == nil {
		name = path
	}
	more := ""
	if n := check.Count(found, check.Warning); n > 0 {
		more = " and " + plural(n, "warning")
	}
	return Usage(fmt.Errorf("%s has %s%s", name, plural(wrong, "error"), more))
}

// covered refuses a distribution of the agents to processes that leaves some out.
func covered(cfg *project.Config, processes []string) error {
	if len(processes) == 0 {
		return nil
	}
	hosted := map[string]bool{}
	for _, p := range processes {
		for name := range strings.SplitSeq(p, ",") {
			if _, ok := cfg.Agents[name]; !ok {
				return Usage(fmt.Errorf("--agents names %q, which the project does not have", name))
			}
			hosted[name] = true
		}
	}
	var missing []string
	for _, name := range cfg.AgentNames() {
		if !hosted[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Usage(fmt.Errorf("no process hosts %s", strings.Join(missing, ", ")))
	}
	return nil
}
