package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
)

// A target is what list and call work on: the system of a project, or an MCP server.
type target struct {
	list func(context.Context) runtime.Listing
	// tried waits until the agent of a tool has been started, or could not be; that of all without
	// one.
	tried func(ctx context.Context, tool string) error
	// call calls a tool by the name that the user wrote.
	call func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error)
}

// targetFlags name a target, and what is logged.
type targetFlags struct {
	project ProjectFlags
	server  serverFlags
	log     LogFlags
}

func (t *targetFlags) register(c *cobra.Command) {
	t.project.Register(c)
	t.server.register(c)
	t.log.Register(c, "warn")
}

// check refuses flags that name several targets.
func (t *targetFlags) check() error {
	if t.server.given() && t.project.Given() || t.server.URL != "" && t.server.command != "" {
		return Usage(errors.New("a project (--project, --profile, --set), --url or --command: one of them"))
	}
	return nil
}

// withTarget reaches the target, calls f, and releases the target.
func (a *App) withTarget(ctx context.Context, t *targetFlags, f func(context.Context, target) error) error {
	if err := t.check(); err != nil {
		return err
	}
	if !t.server.given() {
		return a.inProject(ctx, &t.project, &t.log, func(ctx context.Context, r *runtime.Runtime) error {
			return f(r.Context(ctx), systemTarget(r))
		})
	}
	log, err := a.Logger(&t.log)
	if err != nil {
		return err
	}
	session, err := a.connect(ctx, &t.server, log)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, serverTarget(session)), closing(ctx, session))
}

// inProject reads the project file and calls f in the project's system.
func (a *App) inProject(ctx context.Context, p *ProjectFlags, l *LogFlags,
	f func(context.Context, *runtime.Runtime) error) error {
	cfg, err := a.load(ctx, p)
	if err != nil {
		return err
	}
	log, err := a.Logger(l)
	if err != nil {
		return err
	}
	return a.inSystem(ctx, cfg, log, f)
}

// listsWait is how long list waits for prompts and resources of servers that take their time. What
// is not there then is listed as left out.
const listsWait = 5 * time.Second

func systemTarget(r *runtime.Runtime) target {
	return target{
		tried: func(ctx context.Context, tool string) error {
			name, _, ok := agent.SplitName(tool)
			if !ok {
				name, _, _ = strings.Cut(tool, "_")
			}
			return r.Tried(ctx, name)
		},
		list: func(ctx context.Context) runtime.Listing {
			wait, cancel := context.WithTimeout(ctx, listsWait)
			defer cancel()
			r.AwaitLists(wait)
			return r.Listing()
		},
		call: func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error) {
			var ok bool
			if c.Agent, c.Name, ok = agent.SplitName(tool); !ok {
				if c.Agent, c.Name, ok = r.Listing().Tool(tool); !ok {
					return nil, Usage(errors.New("name the tool as AGENT.TOOL, or as `openmas list` shows it"))
				}
			} else if a, original, known := r.Listing().Tool(c.Name); known && a == c.Agent {
				c.Name = original
			}
			c.Op = agent.OpTool
			return agent.Do(calls.Reporting(ctx), c, c.Input)
		},
	}
}

func serverTarget(s *client.Session) target {
	return target{
		tried: func(context.Context, string) error { return nil },
		list:  func(ctx context.Context) runtime.Listing { return listServer(ctx, s) },
		call: func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error) {
			c.Op, c.Name, c.Attempt = agent.OpTool, tool, 1
			return s.Call(ctx, &c)
		},
	}
}

// listServer lists what a server offers: agent by agent where it is a system of openmas, which has
// a tool for that.
func listServer(ctx context.Context, s *client.Session) runtime.Listing {
	if _, ours := s.Info().Tool("openmas_list"); ours {
		res, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "openmas_list", Attempt: 1})
		var l runtime.Listing
		if err == nil && res.Decode(&l) == nil {
			return l
		}
	}
	wait, cancel := context.WithTimeout(ctx, listsWait)
	defer cancel()
	s.Listed(wait)
	return runtime.Listing{Agents: []agent.Info{s.Info()}}
}
