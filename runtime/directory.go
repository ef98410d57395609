package runtime

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
)

// directory knows the agents that this runtime reaches. Calls read it without a lock; agents come
// and go by copying the map.
type directory struct {
	mu   sync.Mutex
	byID atomic.Pointer[map[string]*callee]
}

var _ agent.Directory = (*directory)(nil)

func newDirectory() *directory {
	d := &directory{}
	d.byID.Store(&map[string]*callee{})
	return d
}

func (d *directory) add(all ...*callee) {
	d.change(func(m map[string]*callee) {
		for _, c := range all {
			m[c.name] = c
		}
	})
}

func (d *directory) remove(names ...string) {
	d.change(func(m map[string]*callee) {
		for _, name := range names {
			delete(m, name)
		}
	})
}

func (d *directory) change(f func(map[string]*callee)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := maps.Clone(*d.byID.Load())
	f(m)
	d.byID.Store(&m)
}

func (d *directory) find(name string) *callee { return (*d.byID.Load())[name] }

// all lists the callees by name.
func (d *directory) all() []*callee {
	m := *d.byID.Load()
	out := make([]*callee, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[name])
	}
	return out
}

// Call implements [agent.Caller]: it routes by c.Agent.
func (d *directory) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	e := d.find(c.Agent)
	if e == nil {
		return nil, agent.Refusedf(agent.CodeNotFound, "there is no agent %q", c.Agent)
	}
	return e.Call(ctx, c)
}

// Agents implements [agent.Directory].
func (d *directory) Agents() []agent.Info {
	all := d.all()
	out := make([]agent.Info, len(all))
	for i, c := range all {
		out[i] = c.Info()
	}
	return out
}

// Agent implements [agent.Directory].
func (d *directory) Agent(name string) (agent.Info, bool) {
	if c := d.find(name); c != nil {
		return c.Info(), true
	}
	return agent.Info{}, false
}
