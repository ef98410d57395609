package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/startup"
	"github.com/openmas/openmas/runtime"
)

func (a *app) runCommand() *cobra.Command {
	var p projectFlags
	var l logging
	var only []string
	var stdio, once bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "run [PROJECT]",
		Short: "Run the agents of a project until Ctrl-C",
		Long: `Run the agents of a project until Ctrl-C, which lets work in flight end first; a second
Ctrl-C ends at once. PROJECT is a YAML file, by default openmas.yaml, then configs/project.yaml.
Where it names a Go package, that is built first.

When everything is up, standard error says so, and SSE_SERVER_URL=http://host:port if the project has a gateway.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := a.load(c.Context(), first(args), p)
			if err != nil {
				return err
			}
			log, err := l.logger(a.Err)
			if err != nil {
				return err
			}
			o := runtime.Options{Logger: log, Output: a.Out, Only: only, BrokerWait: wait}
			if once {
				o.Mode = runtime.ModeOnce
			}
			if wait == 0 {
				o.BrokerWait = -1
			} else if wait < 0 {
				o.BrokerWait = 0
			}
			o.OnReady = func(s runtime.Status) { showReady(a.Err, log, s) }
			if stdio {
				o.Output = a.Err
				if a.Out == io.Writer(os.Stdout) {
					// the protocol's alone from here on: a stray print of an agent must not corrupt
					// it
					os.Stdout = os.Stderr
				}
			}
			r, err := a.newRuntime(cfg, o)
			if err != nil {
				return err
			}
			if stdio {
				return a.runStdio(c.Context(), r)
			}
			return r.Run(c.Context())
		},
	}
	p.flags(c)
	l.flags(c, "info")
	c.Flags().StringVar(&p.listen, "listen", "", "address of the gateway, instead of the project file's: "+
		"127.0.0.1:8765 (port 0: any)")
	c.Flags().StringSliceVar(&only, "agents", nil, "host only these agents here: a,b")
	c.Flags().DurationVar(&wait, "wait", -1, "how long to wait for a broker that is down; 0: not at all (default: as "+
		"long as it takes)")
	c.Flags().Lookup("wait").DefValue = "0s" // which pflag does not show
	c.Flags().BoolVar(&stdio, "stdio", false, "serve the agents over MCP on stdin and stdout; the end of stdin stops "+
		"the system")
	c.Flags().BoolVar(&once, "once", false, "stop when every Runner has returned")
	return c
}

// runStdio serves the whole system on our own stdin and stdout. The end of stdin ends it.
func (a *app) runStdio(ctx context.Context, r *runtime.Runtime) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	select {
	case err := <-ran:
		return err
	case <-r.Ready():
	}
	fmt.Fprintln(a.Err, startup.StdioReady)
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

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
