package runtime

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
)

// directory knows the agents that this runtime reaches. Calls look one up without a lock, and
// adding one costs the same whatever there is.
type directory struct {
	callees sync.Map // name to *callee
}

var _ agent.Directory = (*directory)(nil)

func (d *directory) add(all ...*callee) {
	for _, c := range all {
		d.callees.Store(c.name, c)
	}
}

func (d *directory) remove(names ...string) {
	for _, name := range names {
		d.callees.Delete(name)
	}
}

// find returns nil for a name that is not there.
func (d *directory) find(name string) *callee {
	c, _ := d.callees.Load(name)
	found, _ := c.(*callee)
	return found
}

// all lists the callees by name.
func (d *directory) all() []*callee {
	var out []*callee
	d.callees.Range(func(_, c any) bool {
		out = append(out, c.(*callee))
		return true
	})
	slices.SortFunc(out, func(a, b *callee) int { return cmp.Compare(a.name, b.name) })
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
