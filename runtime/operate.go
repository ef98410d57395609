package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
)

// Operated is what has become of the instances that an operator has restarted, stopped or started.
type Operated struct {
	Instances []OperatedInstance `json:"instances"`
	// Stopping: the whole process stops, in order.
	Stopping bool `json:"stopping,omitempty"`
}

// An OperatedInstance is one of them.
type OperatedInstance struct {
	ID     string `json:"id"`
	State  State  `json:"state"`
	TookMS int64  `json:"tookMs"`
	// Cut says what did not end in time and was cut off, or left behind.
	Cut string `json:"cut,omitempty"`
	// Error is why the instance does not run although it should.
	Error string `json:"error,omitempty"`
}

// An order says which instances of this process are operated.
type order struct {
	Agent    string `json:"agent,omitempty" jsonschema:"the agent; left out with all"`
	Instance *int   `json:"instance,omitempty" jsonschema:"the number of one instance; left out: all of the agent"`
	All      bool   `json:"all,omitempty" jsonschema:"every agent; to stop: the whole process"`
}

// An operation is what is done to instances: they are halted, begun, or one after the other.
type operation struct {
	verb        string // as in "restarting"
	halt, begin bool
}

var (
	restarting = operation{"restarting", true, true}
	stopping   = operation{"stopping", true, false}
	starting   = operation{"starting", false, true}
)

// operate does op to what the order names. An agent's instances are restarted one after the other,
// so that the others take the calls, and the rest is left as it is when one does not come back. It
// goes on to its end when ctx ends: who gave the order may be gone.
func (r *Runtime) operate(ctx context.Context, op operation, o order) (Operated, error) {
	if err := (program{r}).open(); err != nil {
		return Operated{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if o.All {
		if o.Agent != "" || o.Instance != nil {
			return Operated{}, agent.Refusedf(agent.CodeInvalidArgument, "an agent, or all: one of them")
		}
		if !op.begin {
			r.stopByOperator()
			return Operated{Stopping: true}, nil
		}
		return r.operateAll(ctx, op)
	}
	d, units, err := r.named(o)
	if err != nil {
		return Operated{}, err
	}
	done, err := r.operateAgent(ctx, op, d, units)
	if err == nil && op.halt && op.begin {
		for _, other := range r.togetherWith(d.planned) {
			one, failed := r.operateAgent(ctx, op, other, wanted(other))
			done.Instances = append(done.Instances, one.Instances...)
			err = errors.Join(err, failed)
		}
	}
	return done, err
}

// togetherWith are the agents of this process that are restarted with one: those that it names,
// those that they name, and so on.
func (r *Runtime) togetherWith(p planned) (all []*deployment) {
	seen := map[string]bool{p.name: true}
	for names := p.cfg.RestartsWith; len(names) > 0; names = names[1:] {
		d := r.deployments.find(names[0])
		if d == nil || seen[d.name] {
			continue
		}
		seen[d.name] = true
		all = append(all, d)
		names = append(names[:1:1], append(names[1:], d.cfg.RestartsWith...)...)
	}
	return all
}

// wanted are the instances of an agent that nobody has stopped, without those that are parked: they
// have no state.
func wanted(d *deployment) []int {
	return slices.DeleteFunc(numbers(len(d.units)), func(n int) bool {
		state := d.callee.Shown.Instances()[n].Look().State
		return state == route.Stopped || state == route.Idle
	})
}

// restartTogether restarts the agents that do so with one that is back after it had failed. One
// that somebody has stopped stays so.
func (r *Runtime) restartTogether(p planned) {
	for _, d := range r.togetherWith(p) {
		if r.phase.Load() != "ready" || !d.together.CompareAndSwap(false, true) {
			continue
		}
		r.tasks.Go(func() {
			d.together.Store(false)
			r.log.Info("an agent is restarted with another one that had failed", "agent", d.name, "with", p.name,
				"key", "agents."+p.name+".restarts_with")
			if _, err := r.operateAgent(context.Background(), restarting, d, wanted(d)); err != nil {
				r.log.Warn("an agent that was to be restarted with another one is not back", "agent", d.name, "with",
					p.name, "error", r.mask(err))
			}
		})
	}
}

// operateAll does op to every agent, in the order of their start.
func (r *Runtime) operateAll(ctx context.Context, op operation) (done Operated, err error) {
	for _, d := range r.deployments.list() {
		one, err := r.operateAgent(ctx, op, d, numbers(len(d.units)))
		done.Instances = append(done.Instances, one.Instances...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// named finds the instances that an order names.
func (r *Runtime) named(o order) (*deployment, []int, error) {
	d := r.deployments.find(o.Agent)
	switch {
	case o.Agent == child.Runtime:
		return nil, nil, agent.Refusedf(agent.CodeInvalidArgument, "openmas is the process itself: --all means it")
	case d == nil && r.dir.Find(o.Agent) != nil:
		return nil, nil, agent.Refusedf(agent.CodeNotFound, "agent %s runs in another process", o.Agent)
	case d == nil:
		var names []string
		for _, d := range r.deployments.list() {
			names = append(names, d.name)
		}
		return nil, nil, agent.Refusedf(agent.CodeNotFound, "there is no agent %q%s", o.Agent,
			nearest.Meant(o.Agent, names))
	case o.Instance == nil:
		return d, numbers(len(d.units)), nil
	case *o.Instance < 0 || *o.Instance >= len(d.units):
		return nil, nil, agent.Refusedf(agent.CodeNotFound, "agent %s has the instances %s/0 to %s/%d in this process",
			o.Agent, o.Agent, o.Agent, len(d.units)-1)
	}
	return d, []int{*o.Instance}, nil
}

func (r *Runtime) operateAgent(ctx context.Context, op operation, d *deployment, units []int) (Operated, error) {
	if d = r.deployments.lock(d); d == nil {
		return Operated{}, agent.Refusedf(agent.CodeNotFound, "the agent is not there any more")
	}
	defer d.operated.Unlock()
	units = slices.DeleteFunc(slices.Clone(units), func(n int) bool { return n >= len(d.units) })
	done := Operated{Instances: make([]OperatedInstance, 0, len(units))}
	if !op.begin {
		return r.stopUnits(ctx, d, units)
	}
	if !op.halt {
		units = slices.DeleteFunc(slices.Clone(units), func(n int) bool {
			now := d.callee.Shown.Instances()[n].Look()
			return now.State == route.Ready || now.State == route.Starting && now.Err == nil
		})
	}
	defer r.takeCalls(ctx, d)
	for k, n := range units {
		agent.Progress(ctx, float64(k), float64(len(units)), op.verb+" "+d.callee.Shown.Instances()[n].ID)
		one, err := r.operateUnit(ctx, op, d, n)
		done.Instances = append(done.Instances, one)
		if err != nil {
			return done, agent.Errorf(agent.CodeUnavailable, "%s does not start: %w", one.ID, err)
		}
	}
	if err := r.listenAgain(d); err != nil {
		return done, err
	}
	r.refresh()
	return done, nil
}

// operateUnit restarts or starts one instance.
func (r *Runtime) operateUnit(ctx context.Context, op operation, d *deployment, n int) (OperatedInstance, error) {
	i, began := d.callee.Shown.Instances()[n], time.Now()
	r.log.Info(op.verb+" an instance, as its operator asked for", "agent", d.name, "instance", i.ID)
	done := OperatedInstance{ID: i.ID}
	if op.halt {
		done.Cut = r.halt(ctx, d, n, route.Restarting, nil)
	}
	err := d.units[n].begin(ctx)
	done.State, done.TookMS = State(i.Look().State), time.Since(began).Milliseconds()
	if err != nil {
		err = r.mask(err)
		done.Error = err.Error()
	}
	return done, err
}

// stopUnits stops instances, all at the same time, until somebody starts them again. An agent with
// none left gets no events.
func (r *Runtime) stopUnits(ctx context.Context, d *deployment, units []int) (Operated, error) {
	began, instances := time.Now(), d.callee.Shown.Instances()
	done := Operated{Instances: make([]OperatedInstance, len(units))}
	if r.lastOf(d, units) {
		if r.cluster != nil {
			ctx, cancel := context.WithTimeout(ctx, r.cfg.Connect.Timeout)
			defer cancel()
			r.cluster.Leave(ctx, d.name)
		}
		if err := d.events.Run(ctx); err != nil {
			r.log.Warn("an agent that is stopped has events that do not end", "agent", d.name, "error", err)
		}
	}
	command := "openmas start " + d.name
	all := pool.New().WithMaxGoroutines(startsAtOnce)
	for k, n := range units {
		all.Go(func() {
			id := instances[n].ID
			r.log.Info("stopping an instance, as its operator asked for", "agent", d.name, "instance", id)
			why := &route.HaltedError{Start: command}
			if len(units) < len(d.units) {
				why.Start = "openmas start " + id
			}
			agent.Progress(ctx, float64(k), float64(len(units)), "stopping "+id)
			cut := r.halt(ctx, d, n, route.Draining, why)
			done.Instances[k] = OperatedInstance{ID: id, State: State(instances[n].Look().State), Cut: cut,
				TookMS: time.Since(began).Milliseconds()}
		})
	}
	all.Wait()
	r.refresh()
	return done, nil
}

// halt halts an instance in the time that the drain has for what is in flight, and returns what did
// not end.
func (r *Runtime) halt(ctx context.Context, d *deployment, n int, as route.State, why error) (cut string) {
	bounded, cancel := context.WithTimeoutCause(ctx, share(r.drainTimeout(), inFlightShare),
		errors.New("drain.timeout"))
	defer cancel()
	if err := d.units[n].halt(bounded, as, why); err != nil {
		cut = strings.ReplaceAll(r.mask(err).Error(), "\n", "; ")
		r.log.Warn("an instance was stopped before all of it had ended", "agent", d.name, "instance",
			d.callee.Shown.Instances()[n].ID, "error", cut)
	}
	return cut
}

// lastOf reports whether no instance takes calls but for those of units.
func (r *Runtime) lastOf(d *deployment, units []int) bool {
	for n, i := range d.callee.Shown.Instances() {
		if i.Look().State != route.Stopped && !slices.Contains(units, n) {
			return false
		}
	}
	return true
}

// takeCalls takes the calls of an agent again that were left to other processes while it was
// stopped here, if it is no more.
func (r *Runtime) takeCalls(ctx context.Context, d *deployment) {
	if r.cluster == nil || r.lastOf(d, nil) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Connect.Timeout)
	defer cancel()
	r.cluster.Return(ctx, d.name)
}

// listenAgain hands an agent its events again that was stopped.
func (r *Runtime) listenAgain(d *deployment) error {
	if !d.events.empty() || len(d.info.Subscriptions) == 0 {
		return nil
	}
	if err := r.subscribe(d); err != nil {
		return fmt.Errorf("agent %s was started, and gets no events: %w", d.name, err)
	}
	return nil
}
