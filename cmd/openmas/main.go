// Command openmas runs many agents as one system: see openmas --help.
//
// It knows no agent types of its own. Where a project file names a Go package with types, it builds
// that package and becomes it.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/cmd/openmas/internal/deploy"
	"github.com/openmas/openmas/cmd/openmas/internal/dev"
	"github.com/openmas/openmas/cmd/openmas/internal/doctor"
	"github.com/openmas/openmas/cmd/openmas/internal/explain"
	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
	"github.com/openmas/openmas/cmd/openmas/internal/mcpcmd"
	"github.com/openmas/openmas/cmd/openmas/internal/scaffold"
	"github.com/openmas/openmas/internal/cli"
)

func main() { os.Exit(cli.Main(program())) }

// program is the command with what needs a Go toolchain or concerns a workplace, which users' own
// programs do without.
func program() cli.Program {
	return cli.Program{
		Become: gobuild.Become,
		Commands: []func(*cli.App) *cobra.Command{scaffold.Command, dev.Command, deploy.Command, doctor.Command,
			explain.Command, mcpcmd.Command},
	}
}
