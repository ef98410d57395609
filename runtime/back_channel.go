package runtime

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp/client"
)

// narrowed is a session to a server of which only some tools may be used.
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

// answers is who answers an MCP server that is not ours, where no caller does: with the project's
// model and the folders that it may know of. What is not configured is refused.
func (r *Runtime) answers(p planned) agent.BackChannel {
	var h agent.BackChannelFuncs
	if tool := r.cfg.MCP.Sampling; tool != "" {
		env := agent.Env{Name: p.name, Instance: p.name, Logger: r.log, Directory: r.dir}
		h.Sample = func(ctx context.Context, req agent.SampleRequest) (agent.SampleResult, error) {
			return sample(agent.WithEnv(ctx, env), tool, req)
		}
	}
	if len(p.cfg.Roots) > 0 {
		roots := make([]agent.Root, len(p.cfg.Roots))
		for i, dir := range p.cfg.Roots {
			path := r.cfg.Path(dir)
			roots[i] = agent.Root{URI: fileURI(path), Name: filepath.Base(path)}
		}
		h.Roots = func(context.Context) ([]agent.Root, error) { return roots, nil }
	}
	return h
}

// sample asks a tool of the system for what MCP asks a model.
func sample(ctx context.Context, tool string, req agent.SampleRequest) (agent.SampleResult, error) {
	var out agent.SampleResult
	res, err := agent.CallTool(ctx, tool, req)
	if err != nil {
		return out, err
	}
	if json.Unmarshal(res.Structured, &out) != nil || len(out.Content) == 0 {
		text, err := asText(res)
		if err != nil {
			return out, agent.Errorf(agent.CodeInternal, "%s gave neither a sampling result nor text: %w", tool, err)
		}
		out = agent.SampleResult{Content: agent.Blocks{agent.Text(text)}}
	}
	if out.Role == "" {
		out.Role = "assistant"
	}
	if out.Model == "" {
		out.Model = tool
	}
	return out, nil
}

func asText(res *agent.Result) (string, error) {
	var text string
	err := res.Decode(&text)
	return text, err
}

// fileURI writes an absolute path as MCP wants roots.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
