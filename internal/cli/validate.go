package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
)

func (a *app) validateCommand() *cobra.Command {
	var p project
	var print bool
	c := &cobra.Command{
		Use:   "validate [PROJECT]",
		Short: "Check a project file without starting anything",
		Long: `Check a project file, the types and requirements of its agents included, without starting
anything. With --print the effective configuration follows, each value with its source, secrets masked.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := a.load(c.Context(), first(args), p)
			if err != nil {
				return err
			}
			if _, err := a.newRuntime(cfg, runtime.Options{}); err != nil {
				return err
			}
			if print {
				return runtime.Print(a.Out, cfg)
			}
			_, err = fmt.Fprintf(a.Out, "%s is fine: %s\n", cfg.File, plural(len(cfg.Agents), "agent"))
			return err
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&print, "print", false, "print the effective configuration")
	return c
}
