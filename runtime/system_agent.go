package runtime

import (
	"context"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// selfName is the runtime as an agent.
const selfName = child.Runtime

// serveSelf makes the runtime callable. Children publish events by delivering them to it.
func (r *Runtime) serveSelf(ctx context.Context) error {
	type none struct{}
	host, err := agent.NewHost(agent.Env{Name: selfName, Instance: selfName + "/0", Logger: r.log, Directory: r.dir},
		agent.Capabilities{
			Description: "The runtime of this system: what runs in it, and how it does.",
			Tools: []agent.Tool{
				agent.NewTool("status", "Say which agents run, where, in which state, and what their callers saw.",
					func(ctx context.Context, _ none) (Status, error) {
						return r.Status().shownTo(agent.CallFrom(ctx)), nil
					}, agent.ReadOnly(), agent.OpenWorld(false)),
				agent.NewTool("list", "List the agents of the system with their tools, prompts and resources.",
					func(ctx context.Context, _ none) (Listing, error) {
						return r.listing(r.Status().shownTo(agent.CallFrom(ctx))), nil
					}, agent.ReadOnly(), agent.OpenWorld(false)),
			},
		})
	if err != nil {
		return err
	}
	shown := route.NewPool(selfName, 1)
	shown.Instances()[0].Up(hostPeer{host})
	served := &service{shown, agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		if c.Op == agent.OpEvent {
			return r.childEvent(ctx, c)
		}
		return shown.Call(ctx, c)
	})}
	binding, err := r.local.Serve(ctx, served)
	if err != nil {
		return err
	}
	r.onClose("the runtime as an agent", binding.Close)
	peer, err := r.local.Dial(ctx, selfName)
	if err != nil {
		return err
	}
	self := planned{name: selfName, kind: project.KindType, cfg: project.Agent{Communicator: project.OverLocal}}
	r.dir.Add(route.New(r.callee(self, peer, shown)))
	return nil
}
