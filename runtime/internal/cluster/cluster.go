// Package cluster is a process of a project among the others: what they host is callable here over
// the broker, and what this one hosts is callable there.
package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"hash/fnv"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/runtime/internal/presence"
	"github.com/openmas/openmas/runtime/internal/route"
)

// Options configure a [Cluster]. All fields but Version are needed.
type Options struct {
	Project string
	// Process names this process, Version its program.
	Process, Version string
	Started          time.Time
	// Here are the agents that this process hosts, or will.
	Here   []string
	Driver pubsub.Driver
	Broker communicator.Communicator
	// Directory gets the agents that live elsewhere only.
	Directory *route.Directory
	// Callee makes the way to one of them.
	Callee func(name string, sessions *route.Pool) *route.Callee
	// Instances describes an agent's instances to the other processes, as JSON.
	Instances func(*route.Callee) (json.RawMessage, error)
	// Serve is an agent as other processes call it.
	Serve func(*route.Callee) agent.Caller
	// Draining: new calls are to go elsewhere.
	Draining func() bool
	// OnChange is called when agents elsewhere have come, changed or gone.
	OnChange func()
	// DialTimeout bounds asking an agent elsewhere what it offers.
	DialTimeout time.Duration
	Logger      *slog.Logger
}

// A Member is another process of the project, as it describes itself.
type Member struct {
	Process string    `json:"-"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Version string    `json:"version,omitempty"`
	Started time.Time `json:"started"`
	Agents  []Hosted  `json:"agents"`
}

// Hosted is one agent that a process hosts.
type Hosted struct {
	Name         string `json:"name"`
	Communicator string `json:"communicator"`
	// Offers changes with what the agent offers.
	Offers string `json:"offers,omitempty"`
	// Halted: somebody has stopped all instances there.
	Halted    bool            `json:"halted,omitempty"`
	Instances json.RawMessage `json:"instances"`
}

// A Cluster is this process among the others of its project.
type Cluster struct {
	o        Options
	presence *presence.Registry
	host     string
	here     map[string]bool // under mu
	exports
	abroad abroad

	mu      sync.Mutex
	members map[string]Member
	stale   []string      // see SetHere
	settled chan struct{} // closed when the directory is in step again
}

// New begins to listen to the other processes. Run announces this one.
func New(o Options) (*Cluster, error) {
	c := &Cluster{o: o, here: map[string]bool{}, members: map[string]Member{}, settled: make(chan struct{})}
	c.exports = exports{broker: o.Broker, serve: o.Serve, draining: o.Draining, log: o.Logger,
		changed: func() { c.presence.Changed() }}
	c.abroad = abroad{broker: o.Broker, directory: o.Directory, newCallee: o.Callee, dialTimeout: o.DialTimeout,
		offered: c.offered, divert: c.divert, stale: c.takeStale, settled: c.settle, onChange: o.OnChange,
		log: o.Logger, changed: make(chan struct{}, 1), agents: map[string]*foreign{}}
	for _, name := range o.Here {
		c.here[name] = true
	}
	var err error
	if c.host, err = os.Hostname(); err != nil {
		c.host = "unknown"
	}
	c.presence, err = presence.New(o.Driver, presence.Options{Project: o.Project, Process: o.Process,
		Describe: c.describe, OnChange: c.memberChanged, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Run keeps the directory in step with what the others host, until ctx ends. It is called once.
func (c *Cluster) Run(ctx context.Context) {
	var both conc.WaitGroup
	both.Go(func() { c.presence.Run(ctx) })
	both.Go(func() { c.abroad.follow(ctx) })
	both.Wait()
}

// Close ends the sessions to agents elsewhere, after Run has returned. Calls in flight get until
// ctx ends.
func (c *Cluster) Close(ctx context.Context) {
	c.abroad.remove(ctx, slices.Collect(maps.Keys(c.abroad.agents))...)
	c.abroad.ends.Wait()
}

// describe returns the announcement of this process.
func (c *Cluster) describe() []byte {
	m := Member{Host: c.host, PID: os.Getpid(), Version: c.o.Version, Started: c.o.Started}
	for _, e := range c.exports.list() {
		instances, err := c.o.Instances(e.callee)
		if err != nil {
			c.o.Logger.Error("describe an agent to other processes", "agent", e.callee.Name, "error", err)
			continue
		}
		m.Agents = append(m.Agents, Hosted{Name: e.callee.Name, Communicator: e.callee.Over,
			Offers: fingerprint(e.callee.Info()), Halted: e.halted.Load(), Instances: instances})
	}
	b, err := json.Marshal(m)
	if err != nil {
		c.o.Logger.Error("describe this process", "error", err)
	}
	return b
}

// fingerprint is a short text that differs when info does.
func fingerprint(info agent.Info) string {
	h := fnv.New64a()
	if err := json.NewEncoder(h).Encode(info); err != nil {
		return ""
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

// memberChanged notes the announcement of another process. It must be quick: follow acts on it.
func (c *Cluster) memberChanged(p presence.Member, gone bool) {
	m := Member{Process: p.Process}
	if err := json.Unmarshal(p.Description, &m); err != nil && !gone {
		c.o.Logger.Warn("the announcement of another process cannot be read: is it of another version?",
			"process", p.Process, "error", err)
		return
	}
	c.mu.Lock()
	_, known := c.members[p.Process]
	if gone {
		delete(c.members, p.Process)
	} else {
		c.members[p.Process] = m
	}
	c.mu.Unlock()
	switch {
	case gone:
		c.o.Logger.Info("a process of the project is gone", "process", m.Process, "host", m.Host, "pid", m.PID)
	case !known:
		c.o.Logger.Info("another process of the project", "process", m.Process, "host", m.Host, "pid", m.PID)
	}
	c.follow()
}

// SetHere says which agents this process hosts from now on, or will. changed are those whose calls
// are made in another way than before, if they live elsewhere.
func (c *Cluster) SetHere(names, changed []string) {
	c.mu.Lock()
	c.stale = append(c.stale, changed...)
	c.here = map[string]bool{}
	for _, name := range names {
		c.here[name] = true
	}
	c.mu.Unlock()
	c.follow()
}

func (c *Cluster) takeStale() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	stale := c.stale
	c.stale = nil
	return stale
}

// follow has the directory brought in step. It does not wait for that.
func (c *Cluster) follow() {
	select {
	case c.abroad.changed <- struct{}{}:
	default: // it is about to be
	}
}

// Hosts is how many processes host an agent, this one included.
func (c *Cluster) Hosts(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	if c.here[name] {
		n++
	}
	for _, m := range c.members {
		if slices.ContainsFunc(m.Agents, func(a Hosted) bool { return a.Name == name }) {
			n++
		}
	}
	return n
}

// Members are the other processes, by name. The result must not be changed.
func (c *Cluster) Members() []Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.members), func(a, b Member) int { return cmp.Compare(a.Process, b.Process) })
}

// Silent returns how long other processes have not announced themselves, by name, of those that
// should have: they may be gone, or cut off.
func (c *Cluster) Silent() map[string]time.Duration { return c.presence.Silent() }

// offered returns the agents that are hosted elsewhere and not here, or are stopped here and not
// there, each with what it offers.
func (c *Cluster) offered() map[string]string {
	all, left := map[string][]string{}, c.left()
	c.mu.Lock()
	for _, a := range c.members {
		for _, x := range a.Agents {
			if (!c.here[x.Name] || left[x.Name] && !x.Halted) && !slices.Contains(all[x.Name], x.Offers) {
				all[x.Name] = append(all[x.Name], x.Offers)
			}
		}
	}
	c.mu.Unlock()
	out := make(map[string]string, len(all))
	for name, offers := range all {
		slices.Sort(offers)
		out[name] = strings.Join(offers, " ")
	}
	return out
}

// HandOver leaves the calls that are still to come to the other processes, where those host the
// same agents. Calls in flight end here: AwaitHandOver waits for them.
func (c *Cluster) HandOver(ctx context.Context) {
	elsewhere := map[string]bool{}
	for _, m := range c.Members() {
		for _, x := range m.Agents {
			elsewhere[x.Name] = true
		}
	}
	c.leaveTo(ctx, elsewhere)
}

// Settled is closed the next time that the directory was brought in step with what the others host.
func (c *Cluster) Settled() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settled
}

// settle wakes those who wait for Settled.
func (c *Cluster) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.settled)
	c.settled = make(chan struct{})
}

// How long AwaitOthers waits: for a first process that hosts agents, and for another one after the
// last. They answer within 100 ms, unless the machine is busy.
const (
	firstWait = time.Second
	quietTime = 400 * time.Millisecond
)

// AwaitOthers waits until the processes of the project that run have reported what they host.
func (c *Cluster) AwaitOthers(ctx context.Context) {
	end := time.NewTimer(firstWait)
	defer end.Stop()
	quiet := time.NewTimer(firstWait)
	defer quiet.Stop()
	for {
		settled := c.Settled()
		if slices.ContainsFunc(c.Members(), func(m Member) bool { return len(m.Agents) > 0 }) {
			quiet.Reset(quietTime)
		}
		select {
		case <-settled:
		case <-quiet.C:
			return
		case <-end.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
