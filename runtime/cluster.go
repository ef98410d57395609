package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
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
		Started: *r.started.Load(), Here: here, Driver: r.driver, Broker: r.broker, Directory: r.dir,
		Callee:    r.foreignCallee,
		Instances: func(c *route.Callee) (json.RawMessage, error) { return json.Marshal(statusOf(c).Instances) },
		Serve:     r.serveOthers, Draining: r.draining, OnChange: r.refresh,
		DialTimeout: r.cfg.Connect.Timeout, Logger: r.log})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	r.cluster = c
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
	ac := r.cfg.Agents[name]
	ac.Communicator = project.OverPubSub
	o := r.callee(planned{name: name, cfg: ac, kind: ac.Kind()}, sessions, sessions)
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
	all := map[string][]InstanceStatus{}
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
				all[x.Name] = append(all[x.Name], i)
			}
		}
	}
	return all
}
