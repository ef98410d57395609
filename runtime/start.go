package runtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sourcegraph/conc"
	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/runtime/internal/telemetry"
)

// startAndReport is start, with a line in the log now and then while it waits.
func (r *Runtime) startAndReport(ctx, base context.Context) error {
	reporting, stop := context.WithCancel(base)
	var reporter conc.WaitGroup
	reporter.Go(func() { r.waits.Report(reporting, r.log, "", "start.wait", r.cfg.Start.Wait) })
	defer reporter.Wait()
	defer stop()
	return r.start(ctx, base)
}

// start brings everything up, in order: the gateway's port first, since a port in use must start
// nothing; then what agents need; then the agents, each after those that it requires. ctx abandons
// the start, base is what things live in.
func (r *Runtime) start(ctx, base context.Context) error {
	if err := r.listen(ctx); err != nil {
		return err
	}
	if err := r.startMetrics(ctx); err != nil {
		return err
	}
	if err := r.startProbes(ctx); err != nil {
		return err
	}
	if err := r.startOperations(ctx); err != nil {
		return err
	}
	if err := r.startTelemetry(ctx); err != nil {
		return err
	}
	if err := r.startBroker(ctx, base); err != nil {
		return err
	}
	if err := r.startPrivate(ctx); err != nil {
		return err
	}
	if err := r.makeStateDirs(ctx); err != nil {
		return err
	}
	r.onClose("local calls", r.local.Close)
	if err := r.serveSelf(ctx); err != nil {
		return err
	}
	if err := r.startCluster(base); err != nil {
		return err
	}
	if err := r.forwardResourceUpdates(); err != nil {
		return err
	}
	r.onClose("agents", r.closeAgents)
	r.patience = time.Now().Add(max(r.cfg.Start.Wait, 0))
	for first := r.hosted(); len(first) > 0; {
		level := first[0].level
		n := slices.IndexFunc(first, func(p planned) bool { return p.level != level })
		if n < 0 {
			n = len(first)
		}
		if err := r.startLevel(ctx, base, first[:n]); err != nil {
			return err
		}
		first = first[n:]
	}
	if err := r.awaitRequired(ctx); err != nil {
		return err
	}
	if !r.opts.Impatient {
		if err := r.awaitArrivals(ctx, slices.Collect(maps.Keys(r.cfg.Agents))); err != nil {
			return err
		}
	}
	if r.opts.Mode == ModeObserve {
		r.cluster.AwaitOthers(ctx)
	}
	if err := r.checkForeignRequirements(); err != nil {
		return err
	}
	return r.serveGateway()
}

// startLevel starts agents that do not require each other: those in this process one after the
// other, and those in other processes, which take their time, at the same time.
func (r *Runtime) startLevel(ctx, base context.Context, level []planned) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	others := concpool.New().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(startsAtOnce)
	var here []*deployment
	for _, p := range level {
		d := &deployment{planned: p}
		if p.here() {
			here = append(here, d)
			continue
		}
		r.deployments.add(d)
		others.Go(func(ctx context.Context) error { return r.deploy(ctx, base, d) })
	}
	var err error
	for _, d := range here {
		r.deployments.add(d)
		if err = r.deploy(ctx, base, d); err != nil {
			cancel()
			break
		}
	}
	return errors.Join(err, others.Wait())
}

// startTelemetry makes what calls are traced with.
func (r *Runtime) startTelemetry(ctx context.Context) error {
	tel, err := telemetry.Setup(ctx, r.telemetryConfig())
	if err != nil {
		return err
	}
	r.tel = tel
	r.onEnd("telemetry", tel.Shutdown)
	return nil
}
