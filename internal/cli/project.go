package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// project are the flags that choose and change a project file.
type projectFlags struct {
	profile string
	set     []string
	listen  string
}

func (p *projectFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&p.profile, "profile", "", "also read the file NAME.PROFILE.yaml beside the project file")
	c.Flags().StringArrayVar(&p.set, "set", nil, "set a key of the project file: --set agents.search.timeout=3s "+
		"(repeatable)")
}

// load finds and reads the project file; path may be empty. It may not return: see Program.Become.
func (a *app) load(ctx context.Context, path string, p projectFlags) (*project.Config, error) {
	if path == "" {
		var err error
		if path, err = project.Find(""); err != nil {
			return nil, usage(err)
		}
	}
	set := p.set
	if p.listen != "" {
		set = append(set[:len(set):len(set)], "gateway.listen="+p.listen)
	}
	cfg, err := project.Load(path, project.Options{Profile: p.profile, Environ: a.Environ, Set: set})
	if err != nil {
		return nil, usage(err)
	}
	a.cfg = cfg
	if cfg.Package != "" && a.Become != nil {
		if err := a.Become(ctx, cfg, a.Err); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// newRuntime checks the project against the program's types.
func (a *app) newRuntime(cfg *project.Config, o runtime.Options) (*runtime.Runtime, error) {
	o.Version, o.Drivers = a.Version, a.Drivers
	r, err := runtime.New(cfg, a.Types, o)
	if err != nil {
		return nil, usage(err)
	}
	return r, nil
}

// brokerPatience is how long a command that only has a question waits for a broker, and for the
// processes of a project to show themselves.
const (
	brokerPatience  = 5 * time.Second
	processPatience = time.Second
	processQuiet    = 400 * time.Millisecond // they answer within 100 ms, unless the machine is busy
)

// errAlone says that no other process of the project is there.
var errAlone = errors.New("no process of the project runs")

// during calls f in the project: in the one that runs already, where its processes share a broker;
// else it is run for it, without its gateway and Runners, and stopped.
func (a *app) during(ctx context.Context, cfg *project.Config, log *slog.Logger,
	f func(context.Context, *runtime.Runtime) error) error {
	o := runtime.Options{Logger: log, Output: a.Err, Mode: runtime.ModePassive, BrokerWait: brokerPatience}
	if cfg.Broker.Type != project.BrokerMemory {
		watch := o
		watch.Mode = runtime.ModeObserve
		err := a.with(ctx, cfg, watch, func(ctx context.Context, r *runtime.Runtime) error {
			if !others(ctx, r) {
				return errAlone
			}
			return f(ctx, r)
		})
		if !errors.Is(err, errAlone) {
			return err
		}
	}
	return a.with(ctx, cfg, o, f)
}

// others waits a moment for other processes of the project, and until all have said what they host.
func others(ctx context.Context, r *runtime.Runtime) bool {
	tick, end := time.NewTicker(20*time.Millisecond), time.After(processPatience)
	defer tick.Stop()
	known, since := 0, time.Now()
	for {
		n := 0
		for _, all := range r.Listing().Instances {
			n += len(all)
		}
		if n != known {
			known, since = n, time.Now()
		} else if n > 0 && time.Since(since) > processQuiet {
			return true
		}
		select {
		case <-tick.C:
		case <-end:
			return known > 0
		case <-ctx.Done():
			return false
		}
	}
}

// with runs the project, calls f once it is up, and stops it.
func (a *app) with(ctx context.Context, cfg *project.Config, o runtime.Options,
	f func(context.Context, *runtime.Runtime) error) error {
	r, err := a.newRuntime(cfg, o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	select {
	case err := <-ran:
		return err
	case <-r.Ready():
	}
	err = f(ctx, r)
	cancel()
	return errors.Join(err, <-ran)
}
