package cli

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/cli/internal/form"
	"github.com/openmas/openmas/internal/ops"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime"
)

// A target is what list and call work on: the system of a project, or an MCP server.
type target struct {
	list func(context.Context) (runtime.Listing, error)
	// tried waits until the agent of a tool has been started, or could not be; that of all without
	// one.
	tried func(ctx context.Context, tool string) error
	// call calls a tool by the name that the user wrote, or a prompt, or reads a resource.
	call func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error)
	// describe describes what call would call, as far as it is known.
	describe func(ctx context.Context, op agent.Op, name string) described
}

// described is what a form needs of a tool or a prompt. Without a schema it is not known.
type described struct {
	description string
	schema      json.RawMessage
}

// describeIn finds a tool or a prompt in what an agent offers.
func describeIn(info agent.Info, op agent.Op, name string) described {
	switch op {
	case agent.OpTool:
		if t, ok := info.Tool(name); ok {
			return described{t.Description, t.InputSchema}
		}
	case agent.OpPrompt:
		for _, p := range info.Prompts {
			if p.Name == name {
				return described{p.Description, form.OfPrompt(p.Arguments)}
			}
		}
	}
	return described{}
}

// targetFlags name a target.
type targetFlags struct {
	systemFlags
	server serverFlags
}

func (t *targetFlags) register(c *cobra.Command) {
	t.systemFlags.register(c)
	t.server.register(c)
}

// check refuses flags that name several targets.
func (t *targetFlags) check() error {
	if t.server.given() && (t.project.Given() || t.isolated) || t.server.has("url") && t.server.has("command") {
		return Usage(errors.New("a project (--project, --profile, --set, --isolated), --url or --command: one of them"))
	}
	return nil
}

// withTarget reaches the target, calls f, and releases the target.
func (a *App) withTarget(ctx context.Context, t *targetFlags, tool string,
	f func(context.Context, target) error) error {
	if err := t.check(); err != nil {
		return err
	}
	if !t.server.given() {
		return a.inSystem(ctx, &t.systemFlags, system{
			running: func(ctx context.Context, all processes) error { return a.withProcess(ctx, all, tool, f) },
			started: func(ctx context.Context, r *runtime.Runtime) error { return f(r.Context(ctx), systemTarget(r)) },

			impatient: true, // see target.tried
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
	environ := func(key string) (string, bool) { v := a.getenv(key); return v, v != "" }
	traced, end, err := runtime.Traced(ctx, session, environ, runtime.Options{Version: a.Version, Logger: log})
	if err != nil {
		return errors.Join(err, closing(ctx, session))
	}
	err = f(ctx, serverTarget(session, traced, agent.Identity{}))
	end(context.WithoutCancel(ctx))
	return errors.Join(err, closing(ctx, session))
}

// withProcess calls f with the process that the tool is called in.
func (a *App) withProcess(ctx context.Context, all processes, tool string,
	f func(context.Context, target) error) error {
	name, _, ok := agent.SplitName(tool)
	if !ok {
		name, _, _ = strings.Cut(tool, "_")
	}
	p := all.choose(name)
	all.note(a.say, p)
	session, err := client.Connect(ctx, p.Target(true), client.Options{Logger: p.log})
	if err != nil {
		return err
	}
	t := serverTarget(session, session, ops.Operator)
	t.list = all.list
	return errors.Join(f(ctx, t), closing(ctx, session))
}

// dotted is AGENT.TOOL for the name of a tool that may be AGENT_TOOL.
func dotted(tool string) string {
	if strings.Contains(tool, ".") {
		return tool
	}
	return strings.Replace(tool, "_", ".", 1)
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
		list: func(ctx context.Context) (runtime.Listing, error) {
			wait, cancel := context.WithTimeout(ctx, listsWait)
			defer cancel()
			r.AwaitLists(wait)
			return r.Listing(), nil
		},
		call: func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error) {
			ctx = calls.Reporting(ctx)
			if c.Op == agent.OpResource {
				return readResource(ctx, r.Listing().Agents, tool, c)
			}
			var ok bool
			if c.Agent, c.Name, ok = inListing(r.Listing(), tool); !ok {
				return nil, Usage(errors.New("name the tool as AGENT.TOOL, or as `openmas list` shows it"))
			}
			return agent.Do(ctx, c, c.Input)
		},
		describe: func(_ context.Context, op agent.Op, name string) described {
			l := r.Listing()
			agentName, own, _ := inListing(l, name)
			for _, info := range l.Agents {
				if info.Name == agentName {
					return describeIn(info, op, own)
				}
			}
			return described{}
		},
	}
}

// inListing takes a name apart that may be one on the gateway.
func inListing(l runtime.Listing, name string) (agentName, own string, ok bool) {
	agentName, own, ok = agent.SplitName(name)
	if !ok {
		if agentName, own, ok = l.Tool(name); !ok {
			agentName, own, ok = agent.SplitName(dotted(name))
		}
	} else if a, original, known := l.Tool(own); known && a == agentName {
		own = original
	}
	return agentName, own, ok
}

// readResource reads a resource of the agent that lists it, or else of the first that has it, among
// those whose templates may cover it.
func readResource(ctx context.Context, agents []agent.Info, uri string, c agent.Call) (*agent.Result, error) {
	c.Name = uri
	var may []string
	for _, info := range agents {
		for _, r := range info.Resources {
			begin, _, _ := strings.Cut(r.Template, "{")
			switch {
			case r.URI == uri:
				c.Agent = info.Name
				return agent.Do(ctx, c, nil)
			case r.Template != "" && strings.HasPrefix(uri, begin) && !slices.Contains(may, info.Name):
				may = append(may, info.Name)
			}
		}
	}
	err := error(agent.Refusedf(agent.CodeNotFound, "no agent has a resource of that URI"))
	for _, name := range may {
		c.Agent = name
		var res *agent.Result
		if res, err = agent.Do(ctx, c, nil); !errors.Is(err, agent.CodeNotFound) {
			return res, err
		}
	}
	if scheme, rest, ok := strings.Cut(uri, "://"); ok { // two agents have the URI: it names one of them
		name, own, _ := strings.Cut(rest, "/")
		if slices.ContainsFunc(agents, func(info agent.Info) bool { return info.Name == name }) {
			c.Agent, c.Name = name, scheme+"://"+own
			return agent.Do(ctx, c, nil)
		}
	}
	return nil, err
}

// serverTarget calls as from, where the server believes it. The calls go by way of caller.
func serverTarget(s *client.Session, caller agent.Caller, from agent.Identity) target {
	return target{
		tried: func(context.Context, string) error { return nil },
		list:  func(ctx context.Context) (runtime.Listing, error) { return listServer(ctx, s), nil },
		call: func(ctx context.Context, tool string, c agent.Call) (*agent.Result, error) {
			c.Name, c.Attempt, c.From = tool, 1, from
			res, err := caller.Call(ctx, &c)
			if err != nil {
				err, _ = calls.Hinted(asSaid(err), func(code agent.Code) string {
					return calls.Meant(code, &c, asNamed(s.Info(), c.Name))
				})
			}
			return res, err
		},
		describe: func(ctx context.Context, op agent.Op, name string) described {
			if op == agent.OpPrompt {
				wait, cancel := context.WithTimeout(ctx, listsWait)
				defer cancel()
				s.Listed(wait)
			}
			info := s.Info()
			d := describeIn(info, op, name)
			if agentName, own, ok := agent.SplitName(name); ok && d.schema == nil { // a system of openmas
				d = describeIn(info, op, server.GatewayNames(agentName, []string{own})[0])
			}
			return d
		},
	}
}

// asNamed is what a server offers under names of the kind of name: a system of openmas knows a tool
// as agent_tool, which it lists, and as agent.tool.
func asNamed(info agent.Info, name string) agent.Info {
	of, _, dotted := agent.SplitName(name)
	if _, listed := info.Tool(name); listed || !dotted {
		return info
	}
	rename := func(s string) string {
		if own, ok := strings.CutPrefix(s, of+"_"); ok {
			return of + "." + own
		}
		return s
	}
	info.Tools, info.Prompts = slices.Clone(info.Tools), slices.Clone(info.Prompts)
	for n := range info.Tools {
		info.Tools[n].Name = rename(info.Tools[n].Name)
	}
	for n := range info.Prompts {
		info.Prompts[n].Name = rename(info.Prompts[n].Name)
	}
	return info
}

// asSaid is an error as the server says it. A system of openmas writes a code before the text. No
// session believes that of a foreign server, since retries would follow from it. Here the call has
// ended, and the code is only shown.
func asSaid(err error) *agent.Error {
	e := agent.AsError(err)
	if e.Code != agent.CodeToolFailed {
		return e
	}
	said, text, _ := strings.Cut(e.Message, ": ")
	code := agent.ParseCode(said)
	if string(code) != said {
		return e
	}
	told := *e
	told.Code, told.Message = code, text
	return &told
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
