package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/budget"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/cluster"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// newProcess names a process for as long as it lives.
func newProcess() string { return strings.ToLower(rand.Text()[:10]) }

// startCluster finds the other processes, if the broker is one that processes share.
func (r *Runtime) startCluster(base context.Context) error {
	if r.cfg.Broker.Type == project.BrokerMemory {
		return nil
	}
	here := []string{child.Runtime} // each process has one
	for _, p := range r.hosted() {
		here = append(here, p.name)
	}
	c, err := cluster.New(cluster.Options{Project: r.cfg.Project, Process: r.process, Version: r.opts.Version,
		Started: *r.started.Load(), Here: here, Driver: r.driver, Broker: r.lasting, Directory: r.dir,
		Callee:    r.foreignCallee,
		Instances: func(c *route.Callee) (json.RawMessage, error) { return json.Marshal(statusOf(c).Instances) },
		Serve:     r.serveOthers, Draining: r.draining, OnChange: r.refresh,
		DialTimeout: r.cfg.Connect.Timeout, Logger: r.log})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	r.cluster = c
	if err := r.serveBudgets(base); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(base)
	ended := make(chan struct{})
	r.tasks.Go(func() {
		defer close(ended)
		c.Run(ctx)
	})
	r.onClose("presence", func(ctx context.Context) error {
		cancel()
		<-ended
		c.Close(ctx)
		return nil
	})
	return nil
}

// counter is the name under which a process counts the calls of trees that began there. Nobody
// lists it.
func counter(process string) string { return child.Runtime + "-" + process }

// serveBudgets counts for other processes the calls of trees that began here, and has them count
// ours.
func (r *Runtime) serveBudgets(ctx context.Context) error {
	r.trees.Ask = func(ctx context.Context, process string, ask budget.Request) error {
		in, err := json.Marshal(ask)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, r.cfg.Connect.Timeout)
		defer cancel()
		peer, err := r.broker.Dial(ctx, counter(process))
		if err != nil {
			return agent.Refusedf(agent.CodeUnavailable, "%s: the process that counts the calls of its tree (budget) "+
				"does not answer: %w", ask.Target, err)
		}
		_, err = peer.Call(ctx, &agent.Call{ID: ask.Budget, Op: agent.OpTool, Agent: counter(process), Name: "spend",
			Input: in, From: child.FromRuntime, Attempt: 1})
		if err := errors.Join(err, peer.Close(ctx)); err != nil {
			e := agent.AsError(err)
			return agent.Refusedf(e.Code, "%s", e.Message) // the call itself did not run
		}
		return nil
	}
	binding, err := r.broker.Serve(ctx, &budgets{name: counter(r.process), trees: &r.trees})
	if err != nil {
		return fmt.Errorf("broker: count the calls of budgets: %w", err)
	}
	r.onClose("counting the calls of budgets", binding.Close)
	return nil
}

// budgets is what other processes ask.
type budgets struct {
	name  string
	trees *budget.Trees
}

// Info implements [communicator.Service].
func (b *budgets) Info() agent.Info { return agent.Info{Name: b.name} }

// Call implements [agent.Caller].
func (b *budgets) Call(_ context.Context, c *agent.Call) (*agent.Result, error) {
	var ask budget.Request
	if err := json.Unmarshal(c.Input, &ask); err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "a call within a budget: %w", err)
	}
	if err := b.trees.Spend(ask); err != nil {
		return nil, err
	}
	return &agent.Result{}, nil
}

// serveOthers stands before an agent of this process when other processes call it over the broker.
// Where it is in a process of its own, the call is only passed on, in its caller's span.
func (r *Runtime) serveOthers(c *route.Callee) agent.Caller {
	if c.Route == agent.Caller(c.Shown) {
		return c.Shown
	}
	return r.tel.Server(r.hop(c.Name, project.OverPubSub))(c.Shown)
}

// foreignCallee makes the way to an agent that lives in other processes only.
func (r *Runtime) foreignCallee(name string, sessions *route.Pool) *route.Callee {
	p := planned{name: name, of: r.now.Load().cfg}
	if known := r.now.Load().agents[name]; known != nil {
		p = planned{name: name, of: known.of, cfg: known.cfg, kind: known.kind}
	}
	p.cfg.Communicator = project.OverPubSub
	o := r.callee(p, sessions, sessions)
	o.Remote, o.Alone = true, r.aloneWith(name)
	return route.New(o)
}

// aloneWith reports whether at most one process hosts an agent.
func (r *Runtime) aloneWith(name string) func() bool {
	return func() bool { return r.cluster == nil || r.cluster.Hosts(name) <= 1 }
}

// elsewhere lists the instances in other processes, by agent.
func (r *Runtime) elsewhere() map[string][]InstanceStatus {
	if r.cluster == nil {
		return nil
	}
	all, silent := map[string][]InstanceStatus{}, r.cluster.Silent()
	for _, m := range r.cluster.Members() {
		for _, x := range m.Agents {
			var instances []InstanceStatus
			if err := json.Unmarshal(x.Instances, &instances); err != nil {
				r.log.Debug("the instances of another process cannot be read", "process", m.Process, "agent", x.Name,
					"error", err)
				continue
			}
			for _, i := range instances {
				i.Process, i.Host, i.Version, i.Since = m.Process, m.Host, m.Version, m.Started
				i.SilentMS = silent[m.Process].Milliseconds()
				all[x.Name] = append(all[x.Name], i)
			}
		}
	}
	return all
}
