package runtime

import (
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/callback"
)

// backChannel answers an MCP server that is not ours, where no caller does: with the project's
// model and the folders that it may know of. What is not configured is refused.
func (r *Runtime) backChannel(p planned, instance string) agent.BackChannel {
	var h agent.BackChannelFuncs
	if tool := r.cfg.MCP.Sampling; tool != "" {
		env := agent.Env{Name: p.name, Instance: instance, Logger: r.log, Directory: untrusted{r.dir, r.private.Load()}}
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

// untrusted is the directory for what a program asks that is not ours.
type untrusted struct {
	agent.Directory
	private *private // nil: there is none
}

// Call implements [agent.Caller].
func (u untrusted) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	theirs := *c
	theirs.From.Trusted = false
	return u.private.charged(u.Directory).Call(ctx, &theirs)
}

// servedBy returns the calls that an instance of a foreign program serves.
func (p *private) servedBy(instance string) *callback.Served {
	s, _ := p.served.LoadOrStore(instance, &callback.Served{})
	return s.(*callback.Served)
}

// charged places the calls of foreign children below those that they serve. What our own say of
// theirs is believed. Without a private listener there are no children.
func (p *private) charged(next agent.Caller) agent.Caller {
	if p == nil {
		return next
	}
	return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		s, foreign := p.served.Load(c.From.Instance)
		if !foreign || c.From.Trusted {
			return next.Call(ctx, c)
		}
		ctx, own, end, err := s.(*callback.Served).Charge(ctx, c.From.Agent, c)
		if err != nil {
			return nil, err
		}
		defer end()
		return next.Call(ctx, own)
	})
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
