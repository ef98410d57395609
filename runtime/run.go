package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/guard"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/keep"
	"github.com/openmas/openmas/runtime/internal/mask"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/statekey"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// Check reports what is wrong with the agents of a project, and with who calls whom, in a program
// with these types: all of it, joined. The project may have other faults, see [project.Load]. It
// starts nothing.
func Check(cfg *project.Config, types agent.Types) error {
	_, err := makePlan(cfg, source{types: types}, nil, slog.New(slog.DiscardHandler))
	return mask.NewSecrets(cfg).Text(err)
}

// New checks a project against the types of this program and prepares to run it. It starts nothing:
// no goroutine, no socket, no process, unless another program has the types: see
// [Options].Program. All problems are reported at once.
func New(cfg *project.Config, types agent.Types, o Options) (*Runtime, error) {
	return NewContext(context.Background(), cfg, types, o)
}

// NewContext is [New], and stops to ask another program when ctx ends.
func NewContext(ctx context.Context, cfg *project.Config, types agent.Types, o Options) (*Runtime, error) {
	cfg, err := cfg.Complete()
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	process := newProcess()
	secrets := mask.NewSecrets(cfg)
	kept, handler := keep.NewLog(cfg, secrets, process, o.Logger.Handler())
	var sent *telemetry.Logs
	if cfg.Telemetry.Logs {
		sent = &telemetry.Logs{}
		level, _ := logs.ParseLevel(cfg.Log.Level) // the project was checked
		handler = slog.NewMultiHandler(handler, sent.Handler(level))
	}
	o.Logger = slog.New(logs.WithContext(secrets.Logger(slog.New(handler)).Handler(), telemetry.IDs))
	if o.Output == nil {
		o.Output = os.Stdout
	}
	if err := o.check(cfg); err != nil {
		return nil, err
	}
	if err := checkDriver(cfg, o.Drivers); err != nil {
		return nil, err
	}
	cfg, from := newSource(cfg, types, o)
	err = from.ask(ctx, cfg, o.Logger)
	var plan []planned
	if err == nil {
		plan, err = makePlan(cfg, from, o.Only, o.Logger)
	}
	if err != nil {
		return nil, secrets.Text(err)
	}
	r := &Runtime{cfg: cfg, types: types, opts: o, log: o.Logger, secrets: secrets,
		dir: &route.Directory{}, local: communicator.NewLocal(),
		ready:  make(chan struct{}),
		turns:  make(chan struct{}, cfg.Start.Parallel),
		fatal:  make(chan error, 1),
		quit:   make(chan struct{}),
		budget: resilience.NewBudget(resilience.DefaultBudgetPolicy())}
	r.onBack = r.restartTogether
	r.now.Store(newSystem(cfg, plan))
	for _, p := range r.hosted() {
		if p.arrival != nil {
			p.arrival.must = p.arrival.must || o.Strict
		}
	}
	r.calls = calls.NewLog(r.log)
	r.dir.Log = r.calls
	r.process, r.state, r.kept = process, cfg.StateDir(), kept
	r.trees.Process = r.process
	if r.crashes.Process = r.process; cfg.File != "" { // else nobody could find the reports
		r.crashes.State = r.state
	}
	r.sent = sent
	r.shared = server.NewProcess(r.process, statekey.Source{Project: cfg.Project, Secrets: cfg.MCP.RequestStateKeys,
		Dir: r.state, Logger: r.log}.Keys())
	r.phase.Store("starting")
	r.url.Store("")
	r.opsURL.Store("")
	if err := r.telemetryConfig().Check(); err != nil {
		return nil, secrets.Text(err)
	}
	return r, nil
}

// Run starts the system, keeps it alive, and stops it in order: when ctx ends, when a critical
// agent has failed for good (an error), or with [ModeOnce] when every Runner has returned. What
// started is stopped again when starting fails halfway. The error's text has no secret of the
// project; errors.Is and errors.As find its causes as they are.
func (r *Runtime) Run(ctx context.Context) error { return r.secrets.Text(r.run(ctx)) }

func (r *Runtime) run(ctx context.Context) (err error) {
	if !r.ran.CompareAndSwap(false, true) {
		return errors.New("this runtime has run already: make a new one")
	}
	now := time.Now()
	r.started.Store(&now)
	r.kept.Start(r.opts.Mode.calm(), r.opts.Version)
	defer func() { r.kept.Close(r.opts.Mode.calm(), err) }()
	if err := r.sent.Start(ctx, r.telemetryConfig()); err != nil {
		return err
	}
	// After the line that says how the run ended.
	defer func() { telemetry.End(context.WithoutCancel(ctx), r.log, r.sent.Shutdown) }()
	// Agents and sessions outlive ctx: they end in the order of the drain.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := r.newGuard()
	r.onClose("guard of child processes", ended.Close)
	ctx, base = guard.With(ctx, ended), guard.With(base, ended)
	r.base = base
	r.onClose("log of calls", r.calls.Close)
	if err := r.startAndReport(ctx, base); err != nil {
		r.phase.Store("draining")
		undo, cancel := context.WithTimeout(base, share(r.drainTimeout(), inFlightShare))
		defer cancel()
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("start given up (%w): %w", cause, err)
		}
		return errors.Join(err, r.closeAll(undo))
	}
	r.phase.Store("ready")
	close(r.ready)
	if r.opts.OnReady != nil {
		r.opts.OnReady(r.Status())
	}
	done := r.startRunners(base)
	if r.opts.Mode != ModeOnce {
		done = nil
	}
	var cause error
	select {
	case <-ctx.Done():
		r.log.Info("stopping", "why", context.Cause(ctx))
	case <-r.quit:
		r.log.Info("stopping", "why", "openmas stop --all")
	case cause = <-r.fatal:
		r.log.Error("stopping", "why", cause)
	case <-done:
		cause = r.runners.failed()
		r.log.Debug("every runner has returned")
	}
	return errors.Join(cause, r.drain(base, cancel))
}
