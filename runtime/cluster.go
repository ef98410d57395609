package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/pubsub"
)

// announcement is what a process says of itself to the others of the project.
type announcement struct {
	Host    string        `json:"host"`
	PID     int           `json:"pid"`
	Version string        `json:"version,omitempty"`
	Started time.Time     `json:"started"`
	Agents  []hostedAgent `json:"agents"`
}

// hostedAgent is one agent that a process hosts.
type hostedAgent struct {
	Name         string           `json:"name"`
	Communicator string           `json:"communicator"`
	Instances    []InstanceStatus `json:"instances"`
}

// cluster is this process among the others of its project: what they host is callable here, over the broker, and the other way round.
type cluster struct {
	r        *Runtime
	presence *pubsub.Presence
	changed  chan struct{}

	mu      sync.Mutex
	members map[string]announcement
	foreign map[string]func(context.Context) error // agents hosted elsewhere only; the function ends the session
	exports []*export
}

// newProcess names a process for as long as it lives.
func newProcess() string { return strings.ToLower(rand.Text()[:10]) }

// startCluster finds the other processes, if the broker is one that processes share.
func (r *Runtime) startCluster(base context.Context) error {
	if r.cfg.Broker.Type == BrokerMemory {
		return nil
	}
	c := &cluster{r: r, changed: make(chan struct{}, 1), members: map[string]announcement{}, foreign: map[string]func(context.Context) error{}}
	p, err := pubsub.NewPresence(r.driver, pubsub.PresenceOptions{Project: r.cfg.Project, Process: r.process, Describe: c.describe, OnChange: c.heard, Logger: r.log})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	c.presence = p
	r.cluster = c
	ctx, cancel := context.WithCancel(base)
	ended := make(chan struct{}, 2)
	r.tasks.Go(func() { p.Run(ctx); ended <- struct{}{} })
	r.tasks.Go(func() { c.follow(ctx); ended <- struct{}{} })
	r.onClose("presence", func(ctx context.Context) error {
		cancel()
		<-ended
		<-ended
		return c.closeForeign(ctx)
	})
	return nil
}

// describe is what this process says.
func (c *cluster) describe() []byte {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	a := announcement{Host: host, PID: os.Getpid(), Version: c.r.opts.Version, Started: c.r.started}
	c.mu.Lock()
	exports := slices.Clone(c.exports)
	c.mu.Unlock()
	for _, e := range exports {
		if st := e.callee.status(); st.State == StateReady {
			a.Agents = append(a.Agents, hostedAgent{Name: st.Name, Communicator: st.Communicator, Instances: st.Instances})
		}
	}
	b, err := json.Marshal(a)
	if err != nil {
		c.r.log.Error("describe this process", "error", err)
	}
	return b
}

// heard takes what another process says. It must be quick: follow acts on it.
func (c *cluster) heard(m pubsub.Member, gone bool) {
	var a announcement
	if err := json.Unmarshal(m.Body, &a); err != nil && !gone {
		c.r.log.Warn("a process of the project says what this one does not understand: is it of another version?", "process", m.Process, "error", err)
		return
	}
	c.mu.Lock()
	_, known := c.members[m.Process]
	if gone {
		delete(c.members, m.Process)
	} else {
		c.members[m.Process] = a
	}
	c.mu.Unlock()
	if gone || !known {
		c.r.log.Info("another process of the project", "process", m.Process, "host", a.Host, "pid", a.PID, "agents", len(a.Agents), "gone", gone)
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// follow keeps the directory in step with what the others host.
func (c *cluster) follow(ctx context.Context) {
	for {
		select {
		case <-c.changed:
			c.settle(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// settle adds the agents that are hosted elsewhere only, and removes those that are not any more.
func (c *cluster) settle(ctx context.Context) {
	want := map[string]bool{}
	c.mu.Lock()
	for _, a := range c.members {
		for _, x := range a.Agents {
			want[x.Name] = true
		}
	}
	var lost []string
	for name := range c.foreign {
		if !want[name] {
			lost = append(lost, name)
		}
	}
	c.mu.Unlock()
	for _, name := range lost {
		c.removeForeign(ctx, name)
	}
	for name := range want {
		if c.r.dir.find(name) == nil {
			c.addForeign(ctx, name)
		}
	}
	c.r.refresh()
}

func (c *cluster) addForeign(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, c.r.cfg.Connect.Timeout)
	defer cancel()
	peer, err := c.r.broker.Dial(ctx, name)
	if err != nil {
		c.r.log.Warn("an agent that another process hosts does not answer", "agent", name, "error", err)
		return // its process says that it is here again in a moment
	}
	ac := c.r.cfg.Agents[name]
	ac.Communicator = OverPubSub
	i := newInstance(name, 0)
	route := &pool{name: name, instances: []*instance{i}}
	c.r.rise(ctx, route, i, peer)
	c.mu.Lock()
	c.foreign[name] = peer.Close
	c.mu.Unlock()
	added := c.r.callee(planned{name: name, cfg: ac, kind: ac.Kind()}, route, route)
	added.remote = true
	c.r.dir.add(added)
}

func (c *cluster) removeForeign(ctx context.Context, name string) {
	c.r.dir.remove(name)
	c.mu.Lock()
	end := c.foreign[name]
	delete(c.foreign, name)
	c.mu.Unlock()
	if err := end(ctx); err != nil {
		c.r.log.Debug("end the session to an agent elsewhere", "agent", name, "error", err)
	}
}

func (c *cluster) closeForeign(ctx context.Context) error {
	c.mu.Lock()
	var names []string
	for name := range c.foreign {
		names = append(names, name)
	}
	c.mu.Unlock()
	for _, name := range names {
		c.removeForeign(ctx, name)
	}
	return nil
}

// elsewhere lists the instances of an agent in other processes.
func (c *cluster) elsewhere(name string) []InstanceStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []InstanceStatus
	for process, a := range c.members {
		for _, x := range a.Agents {
			for _, i := range x.Instances {
				if x.Name == name {
					i.Process, i.Host, i.Version, i.Since = process, a.Host, a.Version, a.Started
					out = append(out, i)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b InstanceStatus) int { return strings.Compare(a.Process+a.ID, b.Process+b.ID) })
	return out
}

// An export offers an agent of this process, however it is reached here, to the other processes.
type export struct {
	callee *callee
	served agent.Caller
	gate   communicator.Gate
	rests  func() bool
}

// export serves c on the broker. The calls of other processes go straight to its instances: the caller's process retries.
func (r *Runtime) export(ctx context.Context, c *callee, p planned) error {
	e := &export{callee: c, served: r.tel.Server(r.hop(OverPubSub, ""))(c.shown), rests: r.draining}
	if c.over != OverPubSub { // else it is there already
		b, err := r.broker.Serve(ctx, e)
		if err != nil {
			return fmt.Errorf("agent %s: offer it to the other processes: %w", c.name, err)
		}
		p.undo.add("agent "+c.name+" for other processes", b.Close)
	}
	r.cluster.mu.Lock()
	r.cluster.exports = append(r.cluster.exports, e)
	r.cluster.mu.Unlock()
	r.cluster.presence.Changed()
	return nil
}

// Info implements communicator.Service.
func (e *export) Info() agent.Info { return e.callee.Info() }

// Call implements agent.Caller. While the system drains, work that is new is refused; what belongs to work in flight goes on.
func (e *export) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if call.Depth == 0 && e.rests() {
		err := agent.Refusedf(agent.CodeUnavailable, "%s: the process is stopping", call.Target())
		err.RetryAfter = 100 * time.Millisecond
		return nil, err
	}
	if !e.gate.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the process has stopped", call.Target())
	}
	defer e.gate.Leave()
	return e.served.Call(ctx, call)
}

// quiet waits until no call of another process is in flight here.
func (c *cluster) quiet(ctx context.Context) error {
	c.mu.Lock()
	exports := slices.Clone(c.exports)
	c.mu.Unlock()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n := 0
		for _, e := range exports {
			n += e.gate.InFlight()
		}
		if n == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d calls of other processes still in flight: %w", n, ctx.Err())
		}
	}
}

// awaitRequired waits for the agents elsewhere that agents here require, saying for whom.
func (r *Runtime) awaitRequired(ctx context.Context) error {
	if r.cluster == nil {
		return nil
	}
	var told time.Time
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var missing []string
		for _, p := range r.hosted() {
			for _, req := range p.requires {
				name, _, _ := strings.Cut(req, ".")
				if r.dir.find(name) == nil && !slices.Contains(missing, name) {
					missing = append(missing, name)
				}
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			r.log.Warn("waiting for agents that other processes host", "agents", strings.Join(missing, ","))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("start given up while waiting for %s: %w", strings.Join(missing, ", "), ctx.Err())
		}
	}
}
