package runtime

import (
	"context"
	"os"
	"slices"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// none are the arguments of a tool that has none.
type none struct{}

// selfHost is the runtime as an agent, with tools besides those that everybody may call. status and
// list are what one of its callers may know.
func (r *Runtime) selfHost(status func(*agent.Call) Status, list func(*agent.Call) Listing, more ...agent.Tool) (
	*agent.Host, error) {
	return agent.NewHost(agent.Env{Name: child.Runtime, Instance: child.Runtime + "/0", Logger: r.log,
		Directory: r.dir},
		agent.Capabilities{
			Description: "The runtime of this system: what runs in it, and how it does.",
			Tools: append([]agent.Tool{
				agent.NewTool("status", "Say which agents run, where, in which state, and what their callers saw.",
					func(ctx context.Context, _ none) (Status, error) { return status(agent.CallFrom(ctx)), nil },
					agent.ReadOnly(), agent.OpenWorld(false)),
				agent.NewTool("list", "List the agents of the system with their tools, prompts and resources.",
					func(ctx context.Context, _ none) (Listing, error) { return list(agent.CallFrom(ctx)), nil },
					agent.ReadOnly(), agent.OpenWorld(false)),
			}, more...),
		})
}

// serveSelf makes the runtime callable. Children publish events by delivering them to it.
func (r *Runtime) serveSelf(ctx context.Context) error {
	status := func(c *agent.Call) Status { return r.Status().shownTo(c, r.cfg.Gateway) }
	host, err := r.selfHost(status, func(c *agent.Call) Listing { return r.listing(status(c), r.listedFor(c)) })
	if err != nil {
		return err
	}
	shown := route.NewPool(child.Runtime, 1)
	shown.Instances()[0].Up(hostPeer{host})
	tools := r.tel.Server(r.hop(child.Runtime, project.OverLocal))(shown)
	served := &service{Pool: shown,
		caller: agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			if c.Op == agent.OpEvent {
				return r.childEvent(ctx, c)
			}
			return tools.Call(ctx, c)
		})}
	binding, err := r.local.Serve(ctx, served)
	if err != nil {
		return err
	}
	r.onClose("the runtime as an agent", binding.Close)
	peer, err := r.local.Dial(ctx, child.Runtime)
	if err != nil {
		return err
	}
	self := planned{name: child.Runtime, of: r.cfg, kind: project.KindType,
		cfg: project.Agent{Communicator: project.OverLocal}}
	r.dir.Add(route.New(r.callee(self, peer, shown)))
	return nil
}

// Listing is what the tool openmas.list returns.
type Listing struct {
	Agents []agent.Info `json:"agents"`
	// GatewayNames are the names that MCP clients see, by agent and by a tool's or prompt's own
	// name, where such a name is not agent_name: those of foreign servers may have other
	// characters.
	GatewayNames map[string]map[string]string `json:"gatewayNames,omitempty"`
	// Instances of each agent, in this process and in others.
	Instances map[string][]InstanceStatus `json:"instances,omitempty"`
}

// Listing lists what the agents offer, and where they are.
func (r *Runtime) Listing() Listing { return r.listing(r.Status(), r.dir.Agents()) }

// listedFor are the agents that a caller may know of.
func (r *Runtime) listedFor(c *agent.Call) []agent.Info {
	all, g := r.dir.Agents(), r.cfg.Gateway
	if !isClient(c) || g == nil || g.Expose == nil {
		return all
	}
	return server.Exposed(append(slices.Clone(g.Expose), child.Runtime), all)
}

func (r *Runtime) listing(s Status, agents []agent.Info) Listing {
	l := Listing{Agents: agents, Instances: map[string][]InstanceStatus{}}
	for _, a := range l.Agents {
		var tools, prompts []string
		for _, t := range a.Tools {
			tools = append(tools, t.Name)
		}
		for _, p := range a.Prompts {
			prompts = append(prompts, p.Name)
		}
		l.note(a.Name, tools)
		l.note(a.Name, prompts)
	}
	for _, a := range s.Agents {
		l.Instances[a.Name] = a.Instances
	}
	return l
}

// note adds the names on the gateway.
func (l *Listing) note(agentName string, names []string) {
	for i, exported := range server.GatewayNames(agentName, names) {
		if exported == agentName+"_"+names[i] {
			continue
		}
		if l.GatewayNames == nil {
			l.GatewayNames = map[string]map[string]string{}
		}
		if l.GatewayNames[agentName] == nil {
			l.GatewayNames[agentName] = map[string]string{}
		}
		l.GatewayNames[agentName][names[i]] = exported
	}
}

// Tool finds a tool by its name on the gateway.
func (l Listing) Tool(exported string) (agentName, tool string, ok bool) {
	for _, a := range l.Agents {
		for _, t := range a.Tools {
			name, other := l.GatewayNames[a.Name][t.Name]
			if other && name == exported || !other && a.Name+"_"+t.Name == exported {
				return a.Name, t.Name, true
			}
		}
	}
	return "", "", false
}

// AwaitLists waits until each foreign server that is connected has answered, or failed to, what it
// offers. Tools are listed without it; prompts and resources of a slow server may come later.
func (r *Runtime) AwaitLists(ctx context.Context) {
	for _, c := range r.dir.All() {
		for _, i := range c.Shown.Instances() {
			if s, ok := i.Session().(interface{ Listed(ctx context.Context) }); ok {
				s.Listed(ctx)
			}
		}
	}
}

// Status describes the system as it is now.
func (r *Runtime) Status() Status {
	s := Status{Project: r.cfg.Project, Version: r.opts.Version, Process: r.process, PID: os.Getpid(),
		WaitsFor: r.waits.String(), State: r.phase.Load().(string), URL: r.url.Load().(string),
		Ops: r.opsURL.Load().(string), Gateway: r.gatewayStatus()}
	if began := r.started.Load(); began != nil {
		s.Started = *began
	}
	select {
	case <-r.ready:
	default:
		return s // what starts is not to be looked at yet
	}
	elsewhere, waiting := r.elsewhere(), r.waiting()
	for _, c := range r.dir.All() {
		if c.Name == child.Runtime {
			continue
		}
		st := statusOf(c)
		st.Waiting += r.broker.Queued(c.Name)
		sick := c.Unhealthy(context.Background())
		for n, i := range st.Instances {
			if err := sick[i.ID]; err != nil {
				st.Instances[n].Unhealthy = err.Error()
			}
			st.Instances[n].LastCrash = r.crashes.Last(i.ID)
		}
		st.merge(elsewhere[c.Name])
		st.Runner, st.WaitsFor = r.runners.state(c.Name), waiting[c.Name]
		s.Agents = append(s.Agents, st)
	}
	return s
}

func (r *Runtime) gatewayStatus() *GatewayStatus {
	g := r.gateway.Load()
	if g == nil {
		return nil
	}
	out := &GatewayStatus{Sessions: map[string]int{}, Calls: g.InFlight(), FastCalls: g.FastCalls()}
	for _, s := range g.Sessions() {
		out.Sessions[string(s.Transport)]++
	}
	return out
}
