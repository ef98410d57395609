// Package openmas is the front door of a program whose agents are Go structs:
//
//	func main() { openmas.Main(agent.Types{"weather": func() agent.Agent { return &Weather{} }}) }
//
// Such a program is the whole openmas command, with its own types: `go run . run
// configs/project.yaml`. To embed a system in a larger program, use package runtime instead.
package openmas

import (
	"os"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime"
)

// An Option refines [Main].
type Option func(*cli.Program)

// Version sets what `openmas version`, the status of a system and MCP clients are told. Default:
// the main module's version.
func Version(v string) Option { return func(p *cli.Program) { p.Version = v } }

// WithDriver brings a broker that is not built in: a project file chooses it with broker: {type:
// NAME, options: {...}}. See [runtime.NewDriver].
func WithDriver(name string, connect runtime.NewDriver) Option {
	return func(p *cli.Program) {
		if p.Drivers == nil {
			p.Drivers = map[string]runtime.NewDriver{}
		}
		p.Drivers[name] = connect
	}
}

// Main runs the openmas command with the program's arguments and agent types, and exits. The first
// SIGINT or SIGTERM stops in order, the second at once. In a child process of its own it serves one
// agent instead.
func Main(types agent.Types, opts ...Option) {
	p := cli.Program{Types: types}
	for _, o := range opts {
		o(&p)
	}
	os.Exit(cli.Main(p))
}
