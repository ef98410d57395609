// Package dev is openmas dev: it runs a project, looks at its files, and has what runs take each
// change.
//
// The process is the one of openmas itself: the gateway, sessions and the broker are in it and
// stay. The agents of the project's package run in child processes of the program that was built
// last. A new build is a reload that replaces them, as a changed project file replaces the agents
// whose settings have changed.
//
//	dev.go      the command
//	loop.go     looks at the files, and has what follows done
//	keys.go     what the keys do
//	build.go    builds of the package
//	system.go   the system that runs, and what it takes
//	refusal.go  why it does not take something
//	state.go    what all of it knows
//	watch.go    which files have changed
package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime/project"
)

// impossible is why the project cannot run at all, which no change of its files mends; nil: it can.
func (d *dev) impossible(ctx context.Context, cfg *project.Config) error {
	if cfg.Gateway != nil {
		if known := d.app.Has(ctx, &d.flags, cfg.Gateway.Listen); known != nil {
			return known
		}
	}
	return gobuild.HasGo(cfg)
}

// Command makes `openmas dev`.
func Command(a *cli.App) *cobra.Command {
	d := &dev{app: a}
	var listen string
	c := &cobra.Command{
		Use:        "dev [PROJECT]",
		SuggestFor: []string{"develop", "hot", "hotreload", "live"},
		Short:      "Run a project and have it take each change of its files",
		Long: `Run a project, look at its files, and have what runs take each change. A Go file of its package that is
saved is built, and the agents of the package are replaced: the new ones are up before the old ones, whose
calls in flight end first, are stopped. A project file that is saved replaces the agents whose settings have
changed, as openmas reload does. No call is lost, and the clients of the gateway stay connected.

What does not compile, or is wrong in the project file, is shown, and what runs goes on as it is. Some keys
of the project file cannot change while the system runs; r takes them.

On a terminal these keys work: r restarts the system, l changes the level of the log, t shows the last trace,
s shows the status, and q stops, as Ctrl-C does.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			defer cli.SurviveBrokenPipes()()
			if err := d.flags.Argument(args); err != nil {
				return err
			}
			if c.Flags().Changed("listen") && listen == "" {
				return cli.Usage(errors.New(`--listen "": want host:port, such as 127.0.0.1:8765`))
			}
			if listen != "" {
				d.flags.Set("gateway.listen=" + listen)
			}
			var err error
			if d.files, err = d.flags.Files(); err != nil {
				return err
			}
			if d.dir, err = filepath.Abs(filepath.Dir(d.files[0])); err != nil {
				return fmt.Errorf("find the working directory: %w", err)
			}
			if _, err := os.Stat(d.files[0]); err != nil {
				_, err = a.ReadProject(&d.flags) // says it as every command does
				return err
			}
			if d.real, err = filepath.EvalSymlinks(d.files[0]); err != nil {
				return fmt.Errorf("find the project file: %w", err)
			}
			d.led = d.real
			if d.log, err = a.Logger(&d.logs); err != nil {
				return err
			}
			if cfg, err := d.load(); err == nil { // before it builds for nothing
				if err := d.impossible(c.Context(), cfg); err != nil {
					return err
				}
			}
			d.log = slog.New(quiet{d.log.Handler(), &d.waiting})
			return d.run(c.Context())
		},
	}
	d.flags.Register(c)
	d.logs.Register(c, "info")
	c.Flags().StringVar(&listen, "listen", "", "the gateway's `ADDRESS`, instead of the project file's: "+
		"127.0.0.1:8765 (port 0: any)")
	return c
}
