package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli/internal/systemd"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime"
)

func (a *App) runCommand() *cobra.Command {
	var p ProjectFlags
	var l LogFlags
	var o runtime.Options
	var listen string
	var stdio, once bool
	var wait time.Duration
	c := &cobra.Command{
		Use:        "run [PROJECT]",
		SuggestFor: []string{"up", "start", "serve"},
		Short:      "Run the agents of a project until Ctrl-C",
		Long: `Run the agents of a project until Ctrl-C, which lets work in flight end first; a second
Ctrl-C ends at once. PROJECT is a YAML file, by default openmas.yaml, then configs/project.yaml.
Where it names a Go package, that is built first.

When everything is up, standard error has a line that says so, and SSE_SERVER_URL=http://host:port if the
project has a gateway.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			defer SurviveBrokenPipes()()
			if err := p.Argument(args); err != nil {
				return err
			}
			if c.Flags().Changed("wait") && wait < 0 {
				return Usage(fmt.Errorf("--wait %v: want a time, or 0 not to wait; without --wait it is as long as it takes",
					wait))
			}
			if c.Flags().Changed("listen") && listen == "" {
				return Usage(errors.New(`--listen "": want host:port, such as 127.0.0.1:8765`))
			}
			if listen != "" {
				p.Set("gateway.listen=" + listen)
			}
			var err error
			if o.Logger, err = a.Logger(&l); err != nil {
				return err
			}
			cfg, err := a.load(c.Context(), &p)
			if err != nil {
				return err
			}
			if once {
				o.Mode = runtime.ModeOnce
			}
			o.Output, o.BrokerWait = a.runOutput(stdio), brokerPatience(wait)
			o.OnReady = func(s runtime.Status) {
				a.ShowReady(o.Logger, s, "Ctrl-C")
				systemd.Ready(o.Logger)
			}
			o.Load = a.Again(&p, cfg.File)
			r, err := a.NewRuntime(c.Context(), cfg, o)
			if err != nil {
				return err
			}
			defer systemd.Watch(c.Context(), o.Logger, func() { r.Status() })()
			defer a.reloadOnHangup(c.Context(), r)()
			if stdio {
				err = a.runStdio(c.Context(), r, o.Logger)
			} else {
				err = r.Run(c.Context())
			}
			if sig := (signalError{}); errors.As(err, &sig) { // it was asked to stop, and did, if only at the start
				o.Logger.Info("stopped", "why", err)
				return nil
			}
			if stdio || len(o.Only) > 0 { // for a client, or a part of the project: there may be others
				return err
			}
			if known := a.RunsAlready(c.Context(), &p, err); known != nil {
				return known
			}
			return err
		},
	}
	p.Register(c)
	l.Register(c, "info")
	c.Flags().StringVar(&listen, "listen", "", "the gateway's `ADDRESS`, instead of the project file's: "+
		"127.0.0.1:8765 (port 0: any)")
	c.Flags().StringSliceVar(&o.Only, "agents", nil, "host only these `AGENTS` here: a,b")
	c.Flags().DurationVar(&wait, "wait", -1, "the longest `TIME` to wait for a broker that is down; 0: do not "+
		"wait (default: as long as it takes)")
	c.Flags().Lookup("wait").DefValue = "0s" // which pflag does not show
	c.Flags().BoolVar(&stdio, "stdio", false, "serve the agents over MCP on stdin and stdout; the end of stdin stops "+
		"the system")
	c.Flags().BoolVar(&o.Strict, "strict", false, "end when an agent cannot start at first, instead of trying "+
		"again")
	c.Flags().BoolVar(&once, "once", false,
		"stop when every Runner has returned, or failed more often than restart.limit")
	return c
}

// reloadOnHangup has SIGHUP read the project file anew, until end. On a terminal it is the end of
// that, which stops the process.
func (a *App) reloadOnHangup(ctx context.Context, r *runtime.Runtime) (end func()) {
	in, _ := a.In.(*os.File)
	if a.hangups == nil || OnTerminal(a.Err) || OnTerminal(a.jsonErr) || in != nil && OnTerminal(in) {
		return func() {}
	}
	wanted := make(chan struct{}, 1)
	take := func() {
		select {
		case wanted <- struct{}{}:
		default: // one is about to begin
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-r.Ready():
		case <-ctx.Done():
			return
		}
		for {
			select {
			case <-wanted:
				_ = r.ReloadFile(ctx) // the log has its error
			case <-ctx.Done():
				return
			}
		}
	}()
	a.hangups.take.Store(&take)
	return func() {
		a.hangups.take.Store(nil)
		cancel()
		<-ended
	}
}

// brokerPatience translates --wait, where 0 is not at all and a negative time for ever, to
// runtime.Options, where it is the other way round.
func brokerPatience(wait time.Duration) time.Duration {
	switch {
	case wait == 0:
		return -1
	case wait < 0:
		return 0
	}
	return wait
}

// runOutput is where the agents' results go. With --stdio our standard output is the protocol's
// alone: the stray print of an agent must not corrupt it.
func (a *App) runOutput(stdio bool) io.Writer {
	if !stdio {
		return a.Out
	}
	if a.Out == io.Writer(os.Stdout) {
		os.Stdout = os.Stderr
	}
	return a.Err
}

// runStdio serves the whole system on our own stdin and stdout. The end of stdin ends it.
func (a *App) runStdio(ctx context.Context, r *runtime.Runtime, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ran, up := start(ctx, r)
	if !up {
		return <-ran
	}
	if a.jsonErr != nil {
		log.Info("ready on stdio", mcp.StdioReady, true)
	} else {
		fmt.Fprintln(a.Err, mcp.StdioReady)
	}
	served := make(chan error, 1)
	go func() { served <- r.ServeStdio(ctx, a.In, a.Out) }()
	var err error
	select {
	case err = <-served:
		cancel()
		if runErr := <-ran; err == nil {
			err = runErr
		}
	case err = <-ran:
		cancel()
		// What reads stdin may sit in a read that nothing can end; the process ends with us.
	}
	return err
}
