package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// add starts an agent that was not there. A foreign one may come later, as at the start of the
// system; late says why it is not there yet.
func (r *Runtime) add(ctx context.Context, p planned) (late, err error) {
	d := &deployment{planned: p}
	r.put(p)
	r.setHere()
	err = r.makeRoom(ctx, p)
	if err == nil {
		err = r.deploy(ctx, r.base, d)
	}
	if err == nil && p.arrival != nil {
		if late = r.awaitUp(ctx, d); p.cfg.Critical {
			err = late
		}
	}
	if err != nil {
		undo, cancel := r.ending(ctx)
		defer cancel()
		err = errors.Join(err, d.undo.Run(undo))
		r.runners.leave(d.runners...)
		r.drop(p.name)
		return nil, err
	}
	r.deployments.add(d)
	r.refresh()
	r.beginRunners(nil, d)
	return late, nil
}

// remove ends an agent. New calls are refused, those in flight end first. cut says what did not.
func (r *Runtime) remove(ctx context.Context, name string) (cut error) {
	d := r.deployments.lock(r.deployments.find(name))
	if d == nil {
		r.drop(name)
		return nil
	}
	defer d.operated.Unlock()
	d.settle()
	r.dir.Withdraw(d.callee)
	d.callee.Replace(nil)
	r.refresh()
	cut = r.retire(ctx, d)
	r.deployments.replace(d, nil)
	r.runners.leave(d.runners...)
	r.subscriptions.Delete(name)
	r.drop(name)
	return cut
}

// swap puts an agent in the place of the one of its name: it is up before the other one stops, or
// is started after that, while calls wait. Where it cannot start, the other one stays. cut says
// what of the other one did not end.
func (r *Runtime) swap(ctx context.Context, p planned) (cut, err error) {
	old := r.deployments.lock(r.deployments.find(p.name))
	if old == nil {
		r.put(p)
		return nil, nil
	}
	defer old.operated.Unlock()
	d := &deployment{planned: p, replaces: old}
	d.operated.Lock()
	defer d.operated.Unlock()
	if p.here() && old.here() && p.cfg.Type == old.cfg.Type {
		d.results = old.results // a call with a key that has run does not run again
	}
	if old.ending >= maxEnding {
		old.settle()
	}
	running, first := wanted(old), p.cfg.Swap == project.StopFirst
	if first {
		cut = r.holdAll(ctx, old, running)
	}
	if err := r.standUp(ctx, d); err != nil {
		r.dir.Add(old.callee)
		undo, cancel := r.ending(ctx)
		defer cancel()
		err = errors.Join(err, d.undo.Run(undo))
		if first {
			for _, n := range running {
				if back := old.units[n].begin(context.WithoutCancel(ctx)); back != nil {
					err = fmt.Errorf("%w; and with its old settings it does not start again: %w", err, back)
				}
			}
		}
		return cut, err
	}
	r.handOver(ctx, old, d)
	d.replaces, d.settled = nil, make(chan struct{})
	if p.program == nil {
		cut = errors.Join(cut, r.endReplaced(ctx, old, d))
	} else { // what is in flight there must not keep the next program waiting
		d.ending = old.ending + 1
		r.reloads.After(func() { _ = r.endReplaced(ctx, old, d) }) // the log has it
	}
	stopped := slices.DeleteFunc(numbers(len(d.units)), func(n int) bool {
		return n >= len(old.units) && len(running) > 0 || slices.Contains(running, n)
	})
	if len(stopped) > 0 { // what somebody has stopped stays so
		_, err = r.stopUnits(context.WithoutCancel(ctx), d, stopped)
	}
	return cut, err
}

// maxEnding is how many deployments of an agent may end at the same time, besides the one that
// runs.
const maxEnding = 4

// settle waits until nothing is left of what d has replaced.
func (d *deployment) settle() {
	if d.settled != nil {
		<-d.settled // which takes as long as calls in flight, and drain.timeout at most
		d.ending = 0
	}
}

// endReplaced ends what d has replaced, and has its Runners begin then. cut says what did not end.
func (r *Runtime) endReplaced(ctx context.Context, old, d *deployment) (cut error) {
	defer close(d.settled)
	old.settle()
	cut = r.retire(ctx, old)
	ran := old
	if old.ran != nil {
		ran = old.ran
	}
	if r.deployments.find(d.name) != d { // it is replaced as well
		d.ran = ran
		return cut
	}
	r.beginRunners(ran, d)
	return cut
}

// standUp starts an agent beside the one that it is to replace, which calls still go to if it
// fails.
func (r *Runtime) standUp(ctx context.Context, d *deployment) error {
	if err := r.makeRoom(ctx, d.planned); err != nil {
		return err
	}
	if err := r.bringUp(ctx, r.base, d); err != nil {
		return err
	}
	if err := r.awaitUp(ctx, d); err != nil {
		return err
	}
	return r.admit(ctx, d)
}

// handOver gives everything that comes to old to d from now on.
func (r *Runtime) handOver(ctx context.Context, old, d *deployment) {
	old.callee.Replace(d.callee)
	d.events.takeOver(&old.events, d.info.Subscriptions)
	if d.subscriptions == nil {
		r.subscriptions.Delete(d.name)
	} else {
		if old.subscriptions != nil {
			d.subscriptions.TakeOver(ctx, old.subscriptions, r.log)
		}
		r.subscriptions.Store(d.name, d.subscriptions)
	}
	r.deployments.replace(old, d)
	r.put(d.planned)
	r.refresh()
}

// makeRoom makes what an agent needs that may not be there.
func (r *Runtime) makeRoom(ctx context.Context, p planned) error {
	if needsPrivate(p) {
		if err := r.openPrivate(ctx); err != nil {
			return err
		}
	}
	if p.foreign() {
		return nil
	}
	return r.makeStateDir(p.name)
}

// awaitUp waits until all instances take calls, or the first attempt of one has failed.
func (r *Runtime) awaitUp(ctx context.Context, d *deployment) error {
	for _, i := range d.callee.Shown.Instances() {
		if err := d.callee.Shown.Await(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// holdAll ends instances, all at the same time, while their calls wait for what comes after them.
func (r *Runtime) holdAll(ctx context.Context, d *deployment, units []int) error {
	cut := make([]error, len(units))
	all := pool.New().WithMaxGoroutines(startsAtOnce)
	for k, n := range units {
		all.Go(func() {
			if what := r.halt(context.WithoutCancel(ctx), d, n, route.Restarting, nil); what != "" {
				cut[k] = errors.New(what)
			}
		})
	}
	all.Wait()
	return errors.Join(cut...)
}

// retire ends an agent whose calls go elsewhere, when those in flight have ended. It goes on when
// the system stops, which waits for it.
func (r *Runtime) retire(ctx context.Context, d *deployment) error {
	ctx, cancel := r.ending(ctx)
	defer cancel()
	err := errors.Join(d.callee.Drain(ctx), d.undo.Run(ctx))
	if err != nil {
		err = errors.New(strings.ReplaceAll(r.mask(err).Error(), "\n", "; "))
		r.log.Warn("an agent was ended before all of it had ended", "agent", d.name, "error", err)
	}
	return err
}

// ending is the context of what ends: it has the time that the drain has for what is in flight.
func (r *Runtime) ending(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), share(r.drainTimeout(), inFlightShare),
		errors.New("drain.timeout"))
}

// beginRunners has the Runners of d begin, once those of old have ended.
func (r *Runtime) beginRunners(old, d *deployment) {
	var before []*runner
	if old != nil {
		before = old.runners
		r.runners.leave(before...)
		r.runners.join(d.runners...)
	}
	ctx := r.runners.context()
	if r.opts.Mode.calm() || ctx == nil || len(d.runners) == 0 {
		return
	}
	r.tasks.Go(func() {
		for _, x := range before {
			if x.over(ctx) != nil {
				return
			}
		}
		for _, x := range d.runners {
			if x.run == nil {
				r.startRemote(ctx, x)
			} else {
				r.startRunner(d.planned, x)
			}
		}
	})
}

// put notes an agent in the plan, in the place of the one of its name.
func (r *Runtime) put(p planned) {
	now := r.now.Load()
	plan := slices.Clone(now.plan)
	if n := slices.IndexFunc(plan, func(old planned) bool { return old.name == p.name }); n >= 0 {
		plan[n] = p
	} else {
		plan = append(plan, p)
	}
	r.now.Store(newSystem(now.cfg, plan))
}

// drop takes an agent out of the plan.
func (r *Runtime) drop(name string) {
	now := r.now.Load()
	r.now.Store(newSystem(now.cfg, slices.DeleteFunc(slices.Clone(now.plan),
		func(p planned) bool { return p.name == name })))
	r.setHere()
}

// setHere tells the other processes what this one hosts. changed are called in another way.
func (r *Runtime) setHere(changed ...string) {
	if r.cluster == nil {
		return
	}
	var here []string
	for _, p := range r.hosted() {
		here = append(here, p.name)
	}
	r.cluster.SetHere(append(here, child.Runtime), changed)
}
