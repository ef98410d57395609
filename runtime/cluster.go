package runtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/presence"
	"github.com/openmas/openmas/runtime/project"
)

// An announcement is how a process describes itself to the others of the project.
type announcement struct {
	Host    string        `json:"host"`
	PID     int           `json:"pid"`
	Version string        `json:"version,omitempty"`
	Started time.Time     `json:"started"`
	Agents  []hostedAgent `json:"agents"`
}

// hostedAgent is one agent that a process hosts.
type hostedAgent struct {
	Name         string `json:"name"`
	Communicator string `json:"communicator"`
	// Offers changes with what the agent offers.
	Offers    string           `json:"offers,omitempty"`
	Instances []InstanceStatus `json:"instances"`
}

// cluster is this process among the others of its project: what they host is callable here, over
// the broker, and the other way round.
type cluster struct {
	r        *Runtime
	presence *presence.Registry
	changed  chan struct{}
	host     string
	here     map[string]bool // the agents that this process hosts, or will

	mu      sync.Mutex
	members map[string]announcement
	exports []*export

	foreign map[string]*foreign // agents hosted elsewhere only; follow's own
	ends    conc.WaitGroup      // of sessions that are not used any more
}

// newProcess names a process for as long as it lives.
func newProcess() string { return strings.ToLower(rand.Text()[:10]) }

// startCluster finds the other processes, if the broker is one that processes share.
func (r *Runtime) startCluster(base context.Context) error {
	if r.cfg.Broker.Type == project.BrokerMemory {
		return nil
	}
	c := &cluster{r: r, changed: make(chan struct{}, 1), here: map[string]bool{}, members: map[string]announcement{},
		foreign: map[string]*foreign{}}
	for _, p := range r.hosted() {
		c.here[p.name] = true
	}
	var err error
	if c.host, err = os.Hostname(); err != nil {
		c.host = "unknown"
	}
	c.presence, err = presence.New(r.driver, presence.Options{Project: r.cfg.Project, Process: r.process,
		Describe: c.describe, OnChange: c.memberChanged, Logger: r.log})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	r.cluster = c
	ctx, cancel := context.WithCancel(base)
	var both conc.WaitGroup
	both.Go(func() { c.presence.Run(ctx) })
	both.Go(func() { c.follow(ctx) })
	r.onClose("presence", func(ctx context.Context) error {
		cancel()
		both.Wait()
		c.removeForeign(ctx, slices.Collect(maps.Keys(c.foreign))...)
		c.ends.Wait()
		return nil
	})
	return nil
}

// describe returns the announcement of this process.
func (c *cluster) describe() []byte {
	a := announcement{Host: c.host, PID: os.Getpid(), Version: c.r.opts.Version, Started: c.r.started}
	c.mu.Lock()
	exports := slices.Clone(c.exports)
	c.mu.Unlock()
	for _, e := range exports {
		st := statusOf(e.callee)
		a.Agents = append(a.Agents, hostedAgent{Name: st.Name, Communicator: st.Communicator,
			Offers: fingerprint(e.callee.Info()), Instances: st.Instances})
	}
	b, err := json.Marshal(a)
	if err != nil {
		c.r.log.Error("describe this process", "error", err)
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
func (c *cluster) memberChanged(m presence.Member, gone bool) {
	var a announcement
	if err := json.Unmarshal(m.Description, &a); err != nil && !gone {
		c.r.log.Warn("the announcement of another process cannot be read: is it of another version?",
			"process", m.Process, "error", err)
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
	switch {
	case gone:
		c.r.log.Info("a process of the project is gone", "process", m.Process, "host", a.Host, "pid", a.PID)
	case !known:
		c.r.log.Info("another process of the project", "process", m.Process, "host", a.Host, "pid", a.PID)
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// elsewhere lists the instances in other processes, by agent.
func (c *cluster) elsewhere() map[string][]InstanceStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]InstanceStatus{}
	for process, a := range c.members {
		for _, x := range a.Agents {
			for _, i := range x.Instances {
				i.Process, i.Host, i.Version, i.Since = process, a.Host, a.Version, a.Started
				all[x.Name] = append(all[x.Name], i)
			}
		}
	}
	for _, instances := range all {
		slices.SortFunc(instances, func(a, b InstanceStatus) int {
			return cmp.Or(cmp.Compare(a.Process, b.Process), cmp.Compare(a.ID, b.ID))
		})
	}
	return all
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
		missing := r.missing()
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
			return fmt.Errorf("start given up while waiting for %s, which no process hosts: %w",
				strings.Join(missing, ", "), ctx.Err())
		}
	}
}

// missing are agents that agents here require and that nobody hosts yet.
func (r *Runtime) missing() []string {
	var missing []string
	for _, p := range r.hosted() {
		for _, req := range p.requires {
			if name := req.Agent(); r.dir.Find(name) == nil && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// quiet waits until no call of another process is in flight here.
func (c *cluster) quiet(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n := 0
		c.mu.Lock()
		for _, e := range c.exports {
			n += e.inFlight()
		}
		c.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d calls of other processes still in flight", n), ctx.Err())
		}
	}
}
