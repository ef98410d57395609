package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

func (a *app) validateCommand() *cobra.Command {
	var p projectFlags
	var print, schema bool
	var processes []string
	c := &cobra.Command{
		Use:   "validate [PROJECT]",
		Short: "Check a project file without starting anything",
		Long: `Check a project file, the types and requirements of its agents included, without starting
anything. With --print the effective configuration follows, each value with its source, secrets masked.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if schema {
				_, err := io.WriteString(a.Out, project.Schema())
				return err
			}
			cfg, err := a.load(c.Context(), first(args), p)
			if err != nil {
				return err
			}
			if _, err := a.newRuntime(cfg, runtime.Options{}); err != nil {
				return err
			}
			if err := covered(cfg, processes); err != nil {
				return err
			}
			if print {
				return project.Print(a.Out, cfg)
			}
			_, err = fmt.Fprintf(a.Out, "%s is fine: %s\n", cfg.File, plural(len(cfg.Agents), "agent"))
			return err
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&print, "print", false, "print the effective configuration")
	c.Flags().BoolVar(&schema, "schema", false, "print the JSON schema of project files, for editors, and check nothing")
	c.Flags().StringArrayVar(&processes, "agents", nil, "the agents that one process hosts, a,b; once for each "+
		"process: says which agents nobody hosts")
	return c
}

// covered says which agents no process would host.
func covered(cfg *project.Config, processes []string) error {
	if len(processes) == 0 {
		return nil
	}
	hosted := map[string]bool{}
	for _, p := range processes {
		for name := range strings.SplitSeq(p, ",") {
			if _, ok := cfg.Agents[name]; !ok {
				return usage(fmt.Errorf("--agents names %q, which the project does not have", name))
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
		return usage(fmt.Errorf("nobody hosts %s", strings.Join(missing, ", ")))
	}
	return nil
}
