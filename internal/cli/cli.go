// Package cli is the openmas command as every program with agents has it. cmd/openmas adds the
// commands that need a Go toolchain or concern a workplace.
//
// Each command is in the file of its name. What the commands share:
//
//	app.go      a program's types and version, and one run of its command
//	exit.go     the exit codes
//	output.go   what goes to which stream; JSON and tables
//	project.go  the project file: -p, --profile, --set
//	server.go   an MCP server instead of a project: --url, --command, --token-env
//	target.go   what list and call work on, one of these two
//	running.go  the processes of a project that run on this machine
//	system.go   how a command reaches the agents of a project
//	unknown.go  the answer to a command, flag or argument that is unknown
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli/internal/called"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/project"
)

// Run runs the command that args name, without the program's name, and returns the exit code. It
// ends early, in order, when ctx does.
func Run(ctx context.Context, p Program, args []string, s Streams) int {
	a := &App{Program: p, Streams: s}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	return a.exit(root.ExecuteContext(ctx))
}

func (a *App) root() *cobra.Command {
	name := cmp.Or(a.Name, called.Openmas)
	long := `openmas runs many agents as one system. An agent is a Go struct with tools, or any MCP server;
a project file says which agents there are and how calls travel between them: in process,
over a broker, or over MCP.

  openmas run                       run the project in this folder
  openmas list                      list what its agents offer
  openmas call geo.locate city=Bern call a tool`
	if name != called.Openmas {
		long = name + ` is a project of agents in one program, with the commands of openmas.

  openmas run       run the project
  openmas list      list what its agents offer
  openmas status    say how those are that run`
	}
	root := Group(name, "Run many agents as one system", long,
		a.runCommand(), a.validateCommand(), a.listCommand(), a.callCommand(), a.eventsCommand(),
		a.statusCommand(), a.restartCommand(), a.stopCommand(), a.startCommand(), a.reloadCommand(),
		a.logsCommand(), a.traceCommand(),
		a.completionCommand(), a.versionCommand())
	for _, command := range a.Commands {
		root.AddCommand(command(a))
	}
	root.SilenceUsage, root.SilenceErrors = true, true
	a.versionFlag(root)
	answerUnknown(root)
	a.called = called.As(name, root)
	a.called.Help(root)
	return root
}

// exit shows how a command ended, without secrets of the project file, and returns its exit code.
func (a *App) exit(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	var config *project.Error
	switch {
	case errors.As(err, &exit):
		code = exit.code
		if exit.err == nil {
			return code
		}
	case errors.As(err, &config):
		code = exitUsage
	}
	text := strings.TrimRight(err.Error(), "\n")
	lines := client.LastLines(err)
	if n := len(lines); n > 0 && (a.stack == nil || !strings.HasSuffix(a.stack(), lines[n-1])) {
		text = WithLastLines(text, err)
	}
	if a.cfg != nil {
		text = a.cfg.Redact(text)
	}
	text = a.called.In(text)
	if a.jsonErr != nil {
		inJSON(a.jsonErr, text)
		return code
	}
	a.say("%s", visibleLines(text))
	return code
}

// WithLastLines is text, and below it what the program that err is about wrote last, if it is about
// one that has ended.
func WithLastLines(text string, err error) string {
	for n, line := range client.LastLines(err) {
		if n == 0 {
			text += "\nthe program's last lines:"
		}
		text += "\n    " + logs.Brief(line)
	}
	return text
}

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
	_, err := fmt.Fprintln(a.Out, a.called, a.Version)
	return err
}

// mainVersion is the version of the main module.
func mainVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
