package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *App) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: NoArguments,
		RunE: func(*cobra.Command, []string) error { return a.showVersion() },
	}
}

// versionFlag gives the root command --version, which does the same.
func (a *App) versionFlag(root *cobra.Command) {
	version := root.Flags().Bool("version", false, "print the version")
	help := root.RunE
	root.RunE = func(c *cobra.Command, args []string) error {
		if *version {
			return a.showVersion()
		}
		return help(c, args)
	}
}

func (a *App) showVersion() error {
	_, err := fmt.Fprintln(a.Out, "openmas", a.Version)
	return err
}

// mainVersion is the version of the main module.
func mainVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
