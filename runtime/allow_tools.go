package runtime

import (
	"context"
	"log/slog"
	"slices"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp/client"
)

// A narrowed session leads to a server of which only some tools may be used.
type narrowed struct {
	*client.Session
	allow []string
}

// narrow limits a session to the tools in allow; nil allows all.
func narrow(s *client.Session, allow []string, log *slog.Logger) communicator.Peer {
	if allow == nil {
		return s
	}
	for _, name := range allow {
		if _, ok := s.Info().Tool(name); !ok {
			log.Warn("allow_tools names a tool that the server does not have", "agent", s.Info().Name, "tool", name)
		}
	}
	return &narrowed{s, allow}
}

// Info implements [communicator.Peer].
func (n *narrowed) Info() agent.Info {
	info := n.Session.Info()
	info.Tools = slices.DeleteFunc(slices.Clone(info.Tools), func(t agent.ToolInfo) bool {
		return !slices.Contains(n.allow, t.Name)
	})
	return info
}

// Call implements [agent.Caller].
func (n *narrowed) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if c.Op == agent.OpTool && !slices.Contains(n.allow, c.Name) {
		return nil, agent.Refusedf(agent.CodeNotFound, "%s: the project does not allow this tool "+
			"(agents.%s.allow_tools)", c.Target(), c.Agent)
	}
	return n.Session.Call(ctx, c)
}
