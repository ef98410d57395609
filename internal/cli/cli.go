// Package cli is the openmas command: it reads flags, runs what they ask for, and says how it went.
//
// Results go to the standard output, everything else to standard error. Exit codes: 0 fine, 1
// failed, 2 wrong usage or config.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Streams are the program's standard streams, and what a test puts in their place.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Program is what a main package brings.
type Program struct {
	Types   agent.Types
	Version string
	Environ []string
	// Drivers are brokers that are not built in.
	Drivers map[string]runtime.NewDriver
	// Become is called with a project file that names a Go package, before anything else is done
	// with it. A program that can build that package and turn into it does not return; nil for one
	// that is that package already.
	Become func(ctx context.Context, cfg *project.Config, errOut io.Writer) error
}

// An exitError ends the program with a code; its error was shown already when it is nil.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(err error) error { return &exitError{exitUsage, err} }

// Exit is an error that ends the program with code and shows nothing more.
func Exit(code int) error { return &exitError{code: code} }

// Run runs the command that args say, without the program's name, and returns the exit code. It
// ends early, in order, when ctx does.
func Run(ctx context.Context, p Program, args []string, s Streams) int {
	a := &app{Program: p, Streams: s}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if _, _, unknown := root.Find(args); unknown != nil {
		err = usage(unknown)
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
	if a.cfg != nil {
		text = a.cfg.Redact(text)
	}
	fmt.Fprintf(s.Err, "openmas: %s\n", text)
	return code
}

// app is one run of the program.
type app struct {
	Program
	Streams
	cfg *project.Config // the project, once it was read: it knows what is secret
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "openmas",
		Short: "Run many agents as one system",
		Long: `openmas runs many agents as one system. An agent is a Go struct with tools, or any MCP server;
a project file says which agents there are and how calls travel between them: in process,
over a broker, or over MCP.

  openmas run                       run the project in this folder
  openmas list                      what its agents offer
  openmas call geo.locate city=Bern call a tool`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nSee '%s --help'", err, c.CommandPath()))
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(a.runCommand(), a.validateCommand(), a.listCommand(), a.callCommand(), a.eventsCommand(),
		a.connectCommand(), a.mcpConfigCommand(), a.importCommand(), a.versionCommand())
	wrongArgumentsAreUsage(root.Commands())
	return root
}

func wrongArgumentsAreUsage(commands []*cobra.Command) {
	for _, c := range commands {
		check := c.Args
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage(fmt.Errorf("%w\nUsage: %s", err, c.UseLine()))
			}
			return nil
		}
		wrongArgumentsAreUsage(c.Commands())
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which version this is", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.Out, "openmas", a.Version)
			return err
		},
	}
}

// logging are the flags of every command that runs agents.
type logging struct{ level, format string }

func (l *logging) flags(c *cobra.Command, level string) {
	c.Flags().StringVar(&l.level, "log-level", level, "debug, info, warn or error")
	c.Flags().StringVar(&l.format, "log-format", "text", "text or json")
}

// logger writes to w.
func (l *logging) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, usage(fmt.Errorf("--log-level %q: want debug, info, warn or error", l.level))
	}
	switch l.format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: shortTime})), nil
	}
	return nil, usage(fmt.Errorf("--log-format %q: want text or json", l.format))
}

// shortTime leaves the time of day in lines for people.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Value = slog.StringValue(a.Value.Time().Format("15:04:05.000"))
	}
	return a
}
