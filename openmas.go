// Package openmas is the front door of a program whose agents are Go structs.
//
// Such a program is one line, and has the commands of openmas with its own agent types:
//
//	func main() { openmas.Main(agent.Types{"weather": func() agent.Agent { return &Weather{Unit: "C"} }}) }
//
// A project file says which agents there are, and how calls travel between them:
//
//	agents:
//	  weather: {type: weather}                           # in this process
//	  geo:     {type: geo, communicator: mcp-stdio}      # in a child process of its own
//	  notes:   {command: [python3, notes.py]}            # any MCP server
//
//	$ go run . run openmas.yaml
//	$ go run . call weather.forecast name=Bern
//
// Where the project file names the program's folder under package:, the openmas command builds it
// and becomes it: openmas run does the same as go run . run.
//
// # Where to go on
//
//   - [github.com/openmas/openmas/agent] is what an agent is: capabilities, tools, calls, errors.
//   - [github.com/openmas/openmas/agent/agenttest] tests agents in memory.
//   - [github.com/openmas/openmas/runtime] embeds a system in a larger program, in place of Main.
//   - [github.com/openmas/openmas/runtime/project] is the project file.
//   - [github.com/openmas/openmas/communicator] is how calls travel.
package openmas

import (
	"os"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime"
)

// An Option refines [Main]. [Version] and [WithDriver] make one.
type Option interface{ apply(p *cli.Program) }

type option func(p *cli.Program)

func (o option) apply(p *cli.Program) { o(p) }

// Version sets the version that `openmas version`, the status of a system and MCP clients show.
// Default: the main module's version.
func Version(v string) Option { return option(func(p *cli.Program) { p.Version = v }) }

// WithDriver brings a broker that is not built in: a project file chooses it with broker: {type:
// NAME, options: {...}}. See [runtime.NewDriver].
func WithDriver(name string, connect runtime.NewDriver) Option {
	return option(func(p *cli.Program) {
		if p.Drivers == nil {
			p.Drivers = map[string]runtime.NewDriver{}
		}
		p.Drivers[name] = connect
	})
}

// Main runs the openmas command with the program's arguments and agent types, and exits. The first
// SIGINT, SIGTERM or SIGHUP stops in order, the second at once; openmas run takes a SIGHUP as
// openmas reload where there is no terminal. In a child process of its own it serves one agent
// instead.
func Main(types agent.Types, opts ...Option) {
	p := cli.Program{Types: types}
	for _, o := range opts {
		o.apply(&p)
	}
	os.Exit(cli.Main(p))
}
