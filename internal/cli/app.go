package cli

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/called"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// Program is what a main package brings.
type Program struct {
	// Name is what the program calls itself in its help and in hints; openmas if it is empty.
	Name    string
	Types   agent.Types
	Version string
	Environ []string
	// Drivers are brokers that are not built in.
	Drivers map[string]runtime.NewDriver
	// Become is called with a project file that names a Go package, before anything else is done
	// with it. A program that can build that package and turn into it does not return; nil for one
	// that is that package already.
	Become func(ctx context.Context, cfg *project.Config, errOut io.Writer) error
	// Commands make the commands that this program has besides those of every program.
	Commands []func(*App) *cobra.Command

	// hangups are the SIGHUPs that a command takes; nil: they end it.
	hangups *hangups
	isMain  bool // of this process, which can be a child of itself then: see Main
}

// hangups is who takes a SIGHUP, in place of ending in order.
type hangups struct{ take atomic.Pointer[func()] }

// App is one run of the command. Not for concurrent use.
type App struct {
	Program
	Streams
	called  called.Name
	cfg     *project.Config // the project, once it was read: it knows what is secret
	jsonErr io.Writer       // standard error, if it has JSON only: what is written to Err becomes that
	stack   func() string   // the traceback that the log has shown last; nil: there is no log
}

// say tells people something: a line on standard error that says who speaks.
func (a *App) say(format string, args ...any) {
	fmt.Fprintf(a.Err, "%s: %s\n", a.called, a.called.In(fmt.Sprintf(format, args...)))
}

// named has the errors of instances name the program's own commands.
func (a *App) named(all []runtime.InstanceStatus) {
	for n := range all {
		all[n].Error = a.called.In(all[n].Error)
	}
}

// Group makes a command that only holds others.
func Group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long,
		DisableFlagsInUseLine: true,
		Args:                  knownCommand,
		RunE:                  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(commands...)
	return c
}
