package runtime

import (
	"context"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/server"
)

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
func (r *Runtime) Listing() Listing { return r.listing(r.Status()) }

func (r *Runtime) listing(s Status) Listing {
	l := Listing{Agents: r.dir.Agents(), Instances: map[string][]InstanceStatus{}}
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
