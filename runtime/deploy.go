package runtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/delivery"
	"github.com/openmas/openmas/internal/lifecycle"
)

// deploy brings one agent up and makes it callable.
func (r *Runtime) deploy(ctx, base context.Context, d *deployment) error {
	if err := r.bringUp(ctx, base, d); err != nil {
		return err
	}
	return r.admit(ctx, d)
}

// bringUp starts an agent, or reaches it. Nobody can call it yet.
func (r *Runtime) bringUp(ctx, base context.Context, d *deployment) error {
	p := d.planned
	if ctx.Err() != nil {
		return r.givenUp(ctx, "")
	}
	if err := r.awaitArrivals(ctx, p.requiredAgents()); err != nil {
		return err
	}
	start := r.connect
	if p.here() {
		start = r.hostHere
	}
	c, err := start(ctx, base, d)
	if err != nil {
		return err
	}
	d.callee = c
	if p.arrival == nil {
		r.log.Debug("agent is up", "agent", p.name, "communicator", p.cfg.Communicator)
	}
	return nil
}

// admit makes an agent that is up callable, here and for other processes, and hands it its events.
// One that it is to replace is so no more.
func (r *Runtime) admit(ctx context.Context, d *deployment) error {
	r.dir.Add(d.callee)
	d.undo.Add("routing to "+d.name, func(context.Context) error { r.dir.Withdraw(d.callee); return nil })
	d.undo.Add("the events of "+d.name, d.events.Run)
	if err := r.subscribe(d); err != nil {
		return err
	}
	if r.cluster != nil {
		return r.cluster.Export(ctx, d.callee, &d.undo)
	}
	return nil
}

// subscribe hands an agent the events that it subscribes to, until it is about to be stopped or
// closed. Those that the one gets which it is to replace stay as they are: see listening.takeOver.
func (r *Runtime) subscribe(d *deployment) error {
	p := d.planned
	for _, e := range p.info.Subscriptions {
		if d.replaces != nil && d.replaces.events.has(e.Topic) {
			continue
		}
		r.metrics.Subscribed(p.name, e.Topic)
		stop, err := r.events.subscribe(p.name, e.Topic,
			func(ctx context.Context, pub agent.Event, attempt int) error {
				began := time.Now()
				_, err := r.dir.Call(ctx, delivery.Call(p.name, pub, attempt))
				r.metrics.Handled(ctx, r.brokerSystem(), p.name, pub.Topic, attempt, time.Since(began), err)
				return err
			})
		if err != nil {
			return err
		}
		d.events.add(e.Topic, stop)
	}
	return nil
}

// closeAgents takes the agents back in reverse order of their start, level by level: those in this
// process one after the other, and those in other processes at the same time.
func (r *Runtime) closeAgents(ctx context.Context) error {
	var errs []error
	all := r.deployments.list()
	agents := r.now.Load().agents
	level := func(d *deployment) int {
		if p := agents[d.name]; p != nil { // a reload may have moved it
			return p.level
		}
		return d.level
	}
	slices.SortStableFunc(all, func(a, b *deployment) int { return level(a) - level(b) })
	for end := len(all); end > 0; {
		first := end - 1
		for first > 0 && level(all[first-1]) == level(all[first]) {
			first--
		}
		var others []*lifecycle.Undo
		for _, d := range slices.Backward(all[first:end]) {
			if d.here() {
				errs = append(errs, d.undo.Run(ctx))
			} else {
				others = append(others, &d.undo)
			}
		}
		errs = append(errs, lifecycle.Together(ctx, others))
		end = first
	}
	return errors.Join(errs...)
}
