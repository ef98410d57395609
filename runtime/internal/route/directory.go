package route

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/nearest"
)

// A Directory knows the agents that this runtime reaches. Calls look one up without a lock, and
// adding one costs the same whatever there is. The zero Directory is empty.
type Directory struct {
	// Log gets the calls to agents that are not there; nil: nobody does.
	Log     *calls.Log
	callees sync.Map // name to *Callee
}

var _ agent.Directory = (*Directory)(nil)

// Add makes agents callable.
func (d *Directory) Add(all ...*Callee) {
	for _, c := range all {
		d.callees.Store(c.Name, c)
	}
}

// Offer makes an agent callable, unless there is one of its name.
func (d *Directory) Offer(c *Callee) { d.callees.LoadOrStore(c.Name, c) }

// Withdraw forgets an agent, unless another Callee has taken its place. Calls under way go on.
func (d *Directory) Withdraw(c *Callee) { d.callees.CompareAndDelete(c.Name, c) }

// Find returns nil for a name that is not there.
func (d *Directory) Find(name string) *Callee {
	c, _ := d.callees.Load(name)
	found, _ := c.(*Callee)
	return found
}

// All lists the callees by name.
func (d *Directory) All() []*Callee {
	var out []*Callee
	d.callees.Range(func(_, c any) bool {
		out = append(out, c.(*Callee))
		return true
	})
	slices.SortFunc(out, func(a, b *Callee) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Call implements [agent.Caller]: it routes by c.Agent.
func (d *Directory) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	e := d.Find(c.Agent)
	if e == nil {
		err := agent.Refusedf(agent.CodeNotFound, "there is no agent %q%s", c.Agent, nearest.Meant(c.Agent, d.names()))
		return nil, d.Log.Made(ctx, c, 0, err, func(agent.Code) string { return nearest.Hint(c.Agent, d.names()) })
	}
	return e.Call(ctx, c)
}

func (d *Directory) names() []string {
	var out []string
	for _, c := range d.All() {
		out = append(out, c.Name)
	}
	return out
}

// Agents implements [agent.Directory].
func (d *Directory) Agents() []agent.Info {
	all := d.All()
	out := make([]agent.Info, len(all))
	for i, c := range all {
		out[i] = c.Info()
	}
	return out
}

// Agent implements [agent.Directory].
func (d *Directory) Agent(name string) (agent.Info, bool) {
	if c := d.Find(name); c != nil {
		return c.Info(), true
	}
	return agent.Info{}, false
}
