// Command openmas runs many agents as one system: see openmas --help.
//
// It knows no agent types of its own. Where a project file names a Go package with types, it builds
// that package and becomes it.
package main

import (
	"os"

	"github.com/openmas/openmas/internal/cli"
)

func main() { os.Exit(cli.Main(cli.Program{Become: become})) }
