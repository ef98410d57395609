package runtime

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sourcegraph/conc"
	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/delivery"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// startAndReport is start, with a line in the log now and then while it waits.
func (r *Runtime) startAndReport(ctx, base context.Context) error {
	reporting, stop := context.WithCancel(base)
	var reporter conc.WaitGroup
	reporter.Go(func() { r.waits.report(reporting, r.log) })
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
	if err := r.awaitArrivals(ctx, slices.Collect(maps.Keys(r.cfg.Agents))); err != nil {
		return err
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
// other, and those in other processes, which take their time, at the same time. They are stopped in
// the same way.
func (r *Runtime) startLevel(ctx, base context.Context, level []planned) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	others := concpool.New().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(startsAtOnce)
	var lists []*lifecycle.Undo
	for _, p := range level {
		if p.kind != project.KindType || p.cfg.Communicator == project.OverStdio {
			p.undo = &lifecycle.Undo{}
			lists = append(lists, p.undo)
			others.Go(func(ctx context.Context) error { return r.deploy(ctx, base, p) })
		}
	}
	r.onClose("agents in other processes", func(ctx context.Context) error { return lifecycle.Together(ctx, lists) })
	var err error
	for _, p := range level {
		if p.kind == project.KindType && p.cfg.Communicator != project.OverStdio {
			p.undo = &r.undo
			if err = r.deploy(ctx, base, p); err != nil {
				cancel()
				break
			}
		}
	}
	return errors.Join(err, others.Wait())
}

// deploy brings one agent up and makes it callable.
func (r *Runtime) deploy(ctx, base context.Context, p planned) error {
	if ctx.Err() != nil {
		return r.givenUp(ctx)
	}
	if err := r.awaitArrivals(ctx, p.requiredAgents()); err != nil {
		return err
	}
	var c *route.Callee
	var err error
	if p.kind == project.KindType && p.cfg.Communicator != project.OverStdio {
		c, err = r.hostHere(ctx, base, p)
	} else {
		c, err = r.connect(ctx, base, p)
	}
	if err != nil {
		return err
	}
	if p.arrival == nil {
		r.log.Debug("agent is up", "agent", p.name, "communicator", p.cfg.Communicator)
	}
	r.dir.Add(c)
	p.undo.Add("routing to "+p.name, func(context.Context) error { r.dir.Remove(p.name); return nil })
	if err := r.subscribe(c, p); err != nil {
		return err
	}
	if r.cluster != nil {
		return r.cluster.Export(ctx, c, p.undo)
	}
	return nil
}

// subscribe hands an agent the events that it subscribes to, until it is about to be closed.
func (r *Runtime) subscribe(c *route.Callee, p planned) error {
	for _, e := range p.info.Subscriptions {
		r.metrics.Subscribed(p.name, e.Topic)
		stop, err := r.events.subscribe(p.name, e.Topic,
			func(ctx context.Context, pub agent.Event, attempt int) error {
				began := time.Now()
				_, err := c.Call(ctx, delivery.Call(p.name, pub, attempt))
				r.metrics.Handled(ctx, r.brokerSystem(), p.name, pub.Topic, attempt, time.Since(began), err)
				return err
			})
		if err != nil {
			return err
		}
		p.undo.Add("the events "+e.Topic+" of "+p.name, stop)
	}
	return nil
}

// startTelemetry makes what calls are traced with.
func (r *Runtime) startTelemetry(ctx context.Context) error {
	tel, err := telemetry.Setup(ctx, r.telemetryConfig())
	if err != nil {
		return err
	}
	r.tel = tel
	r.onClose("telemetry", tel.Shutdown)
	return nil
}
