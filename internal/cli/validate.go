package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli/internal/check"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

func (a *App) validateCommand() *cobra.Command {
	var p ProjectFlags
	var f format
	var print, schema bool
	var processes []string
	c := &cobra.Command{
		Use:        "validate [PROJECT]",
		SuggestFor: []string{"check", "lint", "verify"},
		Short:      "Check a project file",
		Long: `Check a project file, with the types and requirements of its agents, and how they go together. Nothing is
started. All that is wrong is shown at once, each with its line and with what to do. The exit code is 0 when
all is well, and 2 when something is an error; a warning or a note is none. A program or a folder (dir) that
is not on this machine is a warning. With --print the effective configuration follows, each value with its
source, secrets masked.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if schema {
				_, err := io.WriteString(a.Out, project.Schema())
				return err
			}
			if err := p.Argument(args); err != nil {
				return err
			}
			cfg, found, err := a.examine(c.Context(), &p)
			if err != nil {
				return err
			}
			if err := a.report(f, &p, cfg, found); err != nil {
				return err
			}
			if err := covered(cfg, processes); err != nil {
				return err
			}
			if print {
				return project.Print(a.Out, cfg)
			}
			if f.json {
				return nil
			}
			_, err = fmt.Fprintf(a.Out, "%s is fine: %s\n", cfg.File, plural(len(cfg.Agents), "agent"))
			return err
		},
	}
	p.Register(c)
	f.register(c, "print what was found as JSON")
	c.Flags().BoolVar(&print, "print", false, "print the effective configuration")
	c.Flags().BoolVar(&schema, "schema", false,
		"print the JSON schema of project files, for editors, and check nothing")
	c.Flags().StringArrayVar(&processes, "agents", nil, "the `AGENTS` that one process hosts: a,b (once for each "+
		"process); one that no process hosts is an error")
	c.MarkFlagsMutuallyExclusive("json", "print")
	return c
}

// examine returns what is wrong with a project, and what is worth to know. The error is one of
// reading or building it, and of nothing that is written there.
func (a *App) examine(ctx context.Context, p *ProjectFlags) (*project.Config, []check.Problem, error) {
	cfg, err := a.readProject(p)
	found, err := problems(err)
	if cfg == nil || err != nil {
		return nil, found, err
	}
	switch built, err := problems(a.become(ctx, cfg)); {
	case err != nil && len(found) > 0:
		return cfg, found, nil // the compiler has spoken for itself
	case err != nil:
		return nil, nil, err
	case len(built) > 0: // its types are not known
		found = append(found, built...)
	default:
		if len(found) > 0 {
			err = runtime.Check(cfg, a.Types)
		} else {
			_, err = a.newRuntime(cfg, runtime.Options{})
		}
		more, err := problems(err)
		if err != nil {
			return nil, nil, err
		}
		found = check.Join(found, more)
	}
	return cfg, check.Join(found, append(check.Project(cfg, a.Types), a.missing(cfg)...)), nil
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

// report shows the problems; the error says that some of them are errors.
func (a *App) report(f format, p *ProjectFlags, cfg *project.Config, found []check.Problem) error {
	wrong := check.Count(found, check.Error)
	if f.json {
		all := struct {
			OK       bool            `json:"ok"`
			Problems []check.Problem `json:"problems"`
		}{wrong == 0, append([]check.Problem{}, found...)}
		if err := WriteJSON(a.Out, all); err != nil {
			return err
		}
	} else {
		color := onTerminal(a.Err) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
		printer := check.Printer{Color: color}
		if a.cfg != nil {
			printer.Redact = a.cfg.Redact
		}
		for _, one := range found {
			one.Message, one.Help = visibleLines(one.Message), visibleLines(one.Help)
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

// missing warns of programs and folders that cannot be found here. They may be where the project is
// to run.
func (a *App) missing(cfg *project.Config) (found []check.Problem) {
	for _, name := range cfg.AgentNames() {
		ac := cfg.Agents[name]
		if dir := cfg.ChildDir(name); ac.Dir != "" {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				warning := cfg.Errorf([]string{"agents", name, "dir"}, "agent %s: there is no folder %q here", name,
					dir)
				warning.Hint = "make it, or correct agents." + name + ".dir"
				found = append(found, check.Of(check.Warning, warning))
			}
		}
		if _, own := ac.Env["PATH"]; own || len(ac.Command) == 0 {
			continue
		}
		program := cfg.ChildCommand(name)[0]
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		warning := cfg.Errorf([]string{"agents", name, "command"}, "agent %s: there is no program %q here", name,
			program)
		warning.Hint = "install it, or correct the command; openmas doctor shows all that is missing"
		if rest, home := strings.CutPrefix(ac.Command[0], "~/"); home {
			warning.Hint = "there is no shell that knows ~: write ${env:HOME}/" + rest
		}
		found = append(found, check.Of(check.Warning, warning))
	}
	return found
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
