package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

func (a *App) validateCommand() *cobra.Command {
	var p ProjectFlags
	var print, schema bool
	var processes []string
	c := &cobra.Command{
		Use:        "validate [PROJECT]",
		SuggestFor: []string{"check", "lint", "verify"},
		Short:      "Check a project file",
		Long: `Check a project file, with the types and requirements of its agents. Nothing is started. The exit
code is 0 when all is well, and 2 when something is wrong. With --print the effective configuration follows,
each value with its source, secrets masked. A program or a folder (dir) that is not on this machine is a
warning.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if schema {
				_, err := io.WriteString(a.Out, project.Schema())
				return err
			}
			if err := p.Argument(args); err != nil {
				return err
			}
			cfg, err := a.load(c.Context(), &p)
			if err != nil {
				return err
			}
			if _, err := a.newRuntime(cfg, runtime.Options{}); err != nil {
				return err
			}
			if err := covered(cfg, processes); err != nil {
				return err
			}
			a.missing(cfg)
			if print {
				return project.Print(a.Out, cfg)
			}
			_, err = fmt.Fprintf(a.Out, "%s is fine: %s\n", cfg.File, plural(len(cfg.Agents), "agent"))
			return err
		},
	}
	p.Register(c)
	c.Flags().BoolVar(&print, "print", false, "print the effective configuration")
	c.Flags().BoolVar(&schema, "schema", false,
		"print the JSON schema of project files, for editors, and check nothing")
	c.Flags().StringArrayVar(&processes, "agents", nil, "the `AGENTS` that one process hosts: a,b (once for each "+
		"process); one that no process hosts is an error")
	return c
}

// missing warns of programs and folders that cannot be found here. They may be where the project is
// to run.
func (a *App) missing(cfg *project.Config) {
	for _, name := range cfg.AgentNames() {
		ac := cfg.Agents[name]
		if dir := cfg.ChildDir(name); ac.Dir != "" {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				fmt.Fprintf(a.Err, "openmas: warning: %v\n", cfg.Errorf([]string{"agents", name, "dir"},
					"agent %s: there is no folder %q here", name, dir))
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
		if rest, home := strings.CutPrefix(ac.Command[0], "~/"); home {
			warning.Hint = "there is no shell that knows ~: write ${env:HOME}/" + rest
		}
		fmt.Fprintf(a.Err, "openmas: warning: %v\n", warning)
	}
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
