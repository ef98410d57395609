package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// brokerWait is how long a command that only has a question waits for a broker.
const brokerWait = 5 * time.Second

// errAlone means that no other process of the project runs.
var errAlone = errors.New("no process of the project runs")

// systemFlags name the system of a project, and what is logged.
type systemFlags struct {
	project  ProjectFlags
	log      LogFlags
	isolated bool
}

func (s *systemFlags) register(c *cobra.Command) {
	s.project.Register(c)
	s.log.Register(c, "warn")
	c.Flags().BoolVar(&s.isolated, "isolated", false, "start a system for this command alone, even if the project "+
		"runs: with a memory broker, and a state folder that is removed afterwards")
}

// A system says what a command does in the system of its project.
type system struct {
	// running does it with the processes that run on this machine: one at least.
	running func(context.Context, processes) error
	// started does it in a system that this process is a part of.
	started func(context.Context, *runtime.Runtime) error
	// impatient: started waits itself for the agents that it needs.
	impatient bool
}

// inSystem calls one of do's functions: in the processes of the project that run on this machine;
// else in those on others, where they share a broker; else in one that is started for the command,
// without its gateway and Runners, and stopped after it. Standard error has a line that says which.
func (a *App) inSystem(ctx context.Context, s *systemFlags, do system) error {
	log, err := a.Logger(&s.log)
	if err != nil {
		return err
	}
	if s.isolated {
		return a.alone(ctx, s, log, do)
	}
	file, err := s.project.File()
	if err != nil {
		return err
	}
	all, err := running(ctx, file, log, a.say)
	if silent := (*silentError)(nil); errors.As(err, &silent) {
		return fmt.Errorf("%w; --isolated starts another system", err)
	}
	if err != nil {
		return err
	}
	if len(all) > 0 {
		if s.project.Layers() {
			err = Usage(fmt.Errorf("project %s runs already (process %d): --profile and --set change a system that this "+
				"command starts; add --isolated to start one", all[0].status.Project, all[0].status.PID))
		} else {
			err = do.running(ctx, all)
		}
		return errors.Join(err, all.close(ctx))
	}
	cfg, err := a.load(ctx, &s.project)
	if err != nil {
		return err
	}
	o := runtime.Options{Logger: log, Output: a.Err, Mode: runtime.ModePassive, BrokerWait: brokerWait,
		Impatient: do.impatient}
	if cfg.Broker.Type != project.BrokerMemory {
		watch := o
		watch.Mode = runtime.ModeObserve
		err := a.whileUp(ctx, cfg, watch, "", func(ctx context.Context, r *runtime.Runtime) error {
			if len(r.Listing().Instances) == 0 {
				return errAlone
			}
			a.say("project %s runs elsewhere: reaching it over the broker", cfg.Project)
			return do.started(ctx, r)
		})
		if !errors.Is(err, errAlone) {
			return err
		}
	}
	note := fmt.Sprintf("project %s does not run: starting it for this command", cfg.Project)
	return a.whileUp(ctx, cfg, o, note, do.started)
}

// alone runs a system that shares nothing with one that may run.
func (a *App) alone(ctx context.Context, s *systemFlags, log *slog.Logger, do system) error {
	cfg, err := a.load(ctx, &s.project)
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("", "openmas-isolated-")
	if err != nil {
		return fmt.Errorf("make a state folder: %w", err)
	}
	cfg.Broker, cfg.State = project.Broker{Type: project.BrokerMemory}, state
	for _, e := range cfg.Events {
		if e.Durable {
			cfg.Broker.Type = project.BrokerNATS // embedded, with its store in that folder
		}
	}
	note := fmt.Sprintf("starting project %s for this command alone", cfg.Project)
	err = a.whileUp(ctx, cfg, runtime.Options{Logger: log, Output: a.Err, Mode: runtime.ModePassive,
		Impatient: do.impatient}, note, do.started)
	return errors.Join(err, os.RemoveAll(state))
}

// whileUp runs the project, calls f once it is up, and stops it. note is shown when it begins.
func (a *App) whileUp(ctx context.Context, cfg *project.Config, o runtime.Options, note string,
	f func(context.Context, *runtime.Runtime) error) error {
	r, err := a.NewRuntime(ctx, cfg, o)
	if err != nil {
		return err
	}
	if note != "" {
		a.say("%s", note)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ran, up := start(ctx, r)
	if !up {
		return <-ran
	}
	err = f(ctx, r)
	cancel()
	return errors.Join(err, <-ran)
}
