package cli

import (
	"context"
	"errors"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
)

// A target is what list and call work on: a project that was started, or an MCP server.
type target struct {
	list func() runtime.Listing
	// call calls a tool by the name that the user wrote.
	call func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error)
}

// withTarget reaches the target, calls f, and releases the target.
func (a *app) withTarget(ctx context.Context, path string, p projectFlags, s server, l logging,
	f func(context.Context, target) error) error {
	if !s.named() {
		cfg, err := a.load(ctx, path, p)
		if err != nil {
			return err
		}
		log, err := l.logger(a.Err)
		if err != nil {
			return err
		}
		return a.during(ctx, cfg, log, func(ctx context.Context, r *runtime.Runtime) error {
			return f(r.Context(ctx), target{r.Listing, callDirectory})
		})
	}
	log, err := l.logger(a.Err)
	if err != nil {
		return err
	}
	session, err := s.connect(ctx, log, a.Environ, a.Err)
	if err != nil {
		return err
	}
	t := target{
		list: func() runtime.Listing { return listServer(ctx, session) },
		call: func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error) {
			c.Op, c.Name, c.Attempt = agent.OpTool, tool, 1
			return session.Call(ctx, &c)
		},
	}
	return errors.Join(f(ctx, t), closing(ctx, session))
}

// listServer lists what a server offers: agent by agent where it is a system of ours, which says so
// itself.
func listServer(ctx context.Context, s *client.Session) runtime.Listing {
	if _, ours := s.Info().Tool("openmas_list"); ours {
		res, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "openmas_list", Attempt: 1})
		var l runtime.Listing
		if err == nil && res.Decode(&l) == nil {
			return l
		}
	}
	return runtime.Listing{Agents: []agent.Info{s.Info()}}
}

func callDirectory(ctx context.Context, tool string, c agent.Call) (*agent.Result, error) {
	name, bare, _ := agent.SplitName(tool)
	c.Op, c.Agent, c.Name = agent.OpTool, name, bare
	return agent.Do(ctx, c, c.Input)
}
