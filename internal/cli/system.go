package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// brokerWait is how long a command that only has a question waits for a broker.
const brokerWait = 5 * time.Second

// errAlone means that no other process of the project runs.
var errAlone = errors.New("no process of the project runs")

// inSystem calls f in the project's system: in the processes that run already, where they share a
// broker; else in one that is started for f, without its gateway and Runners, and stopped after it.
func (a *App) inSystem(ctx context.Context, cfg *project.Config, log *slog.Logger,
	f func(context.Context, *runtime.Runtime) error) error {
	o := runtime.Options{Logger: log, Output: a.Err, Mode: runtime.ModePassive, BrokerWait: brokerWait}
	if cfg.Broker.Type != project.BrokerMemory {
		watch := o
		watch.Mode = runtime.ModeObserve
		err := a.whileUp(ctx, cfg, watch, func(ctx context.Context, r *runtime.Runtime) error {
			if len(r.Listing().Instances) == 0 {
				return errAlone
			}
			return f(ctx, r)
		})
		if !errors.Is(err, errAlone) {
			return err
		}
	}
	return a.whileUp(ctx, cfg, o, f)
}

// whileUp runs the project, calls f once it is up, and stops it.
func (a *App) whileUp(ctx context.Context, cfg *project.Config, o runtime.Options,
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
