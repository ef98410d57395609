package runtime

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/access"
	"github.com/openmas/openmas/runtime/internal/callback"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/updates"
	"github.com/openmas/openmas/runtime/project"
)

// connect reaches agents in other processes: children of our own types, MCP server programs, MCP
// servers elsewhere.
func (r *Runtime) connect(ctx, base context.Context, d *deployment) (*route.Callee, error) {
	if d.foreign() {
		if d.subscriptions = (&updates.Subscriptions{}); d.replaces == nil {
			r.subscriptions.Store(d.name, d.subscriptions)
		} else if before := d.replaces.subscriptions; before != nil {
			d.subscriptions = before.Next()
		}
	}
	p := d.planned
	sessions := route.NewPool(p.name, p.sessions())
	r.limitSessions(p, sessions)
	sessions.Forgets = p.cfg.IdleStop > 0
	d.units = make([]unit, p.sessions())
	starts := concpool.New().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(startsAtOnce)
	for n, i := range sessions.Instances() {
		if p.healther {
			i.Health = func(ctx context.Context) error { return askHealth(ctx, i) }
		}
		target, err := r.target(d, i, n)
		if err != nil {
			return nil, err
		}
		opts := r.connectOptions(p)
		if p.foreign() {
			opts.Back = r.backChannel(p, i.ID)
			opts.OnUpdated = func(uri string) { r.resourceUpdated(base, p.name, uri) }
		}
		dial := func(ctx context.Context) (communicator.Peer, error) {
			if p.cfg.Child() {
				done, err := r.turn(ctx, i.ID)
				if err != nil {
					return nil, err
				}
				defer done()
			}
			opts, step := opts, atomic.Pointer[string]{}
			opts.OnStep = func(s string) { step.Store(&s) }
			opts.OnSuspect = i.Suspect
			opts.OnStep("the MCP handshake has not ended")
			defer r.waits.Begin(i.ID, func() string { return *step.Load() }, opts.HandshakeTimeout, opts.TimeoutKey)()
			began := time.Now()
			var before client.Sight
			if p.kind == project.KindCommand {
				before = target.Look()
			}
			s, err := client.Connect(ctx, target, opts)
			if err != nil {
				r.tel.Failed(ctx, r.hop(p.name, p.cfg.Communicator), p.name, "initialize", began, err)
				return nil, missing(target, before, err)
			}
			return r.foreignSession(s, p, i.ID), nil
		}
		starts.Go(func(ctx context.Context) (err error) {
			d.units[n], err = r.openSession(ctx, base, d, sessions, n, dial)
			return err
		})
		if p.runner && (n == 0 || p.cfg.Run == "all") {
			d.addRunner(&r.runners, newRunner(p.name, i.ID, nil))
		}
	}
	if err := starts.Wait(); err != nil {
		return nil, err
	}
	return route.New(r.callee(p, sessions, sessions)), nil
}

// target returns how to reach one instance of an agent.
func (r *Runtime) target(d *deployment, i *route.Instance, n int) (client.Target, error) {
	p := d.planned
	t := client.Target{Name: p.name, Transport: transports[p.cfg.Communicator], URL: p.cfg.URL,
		Protocol: p.cfg.Protocol,
		Headers:  p.cfg.Headers, Env: maps.Clone(p.cfg.Env), Baggage: p.cfg.Baggage}
	if t.Env == nil {
		t.Env = map[string]string{}
	}
	t.Dir = p.of.ChildDir(p.name)
	if p.kind == project.KindURL {
		if t.Headers = maps.Clone(p.cfg.Headers); p.cfg.Token != "" {
			if t.Headers == nil {
				t.Headers = map[string]string{}
			}
			t.Headers["Authorization"] = "Bearer " + p.cfg.Token
		}
		t.TLS = p.tls
		err := access.Authorize(&t, p.cfg.OAuth)
		return t, err
	}
	t.Stderr = r.childLog(p.name, i.ID, !p.foreign())
	if p.kind == project.KindCommand {
		t.Command = p.of.ChildCommand(p.name)
		if p.cfg.Telemetry {
			vars := r.telemetryConfig().ForForeign(p.name)
			maps.Copy(vars, t.Env) // its own win
			t.Env = vars
		}
		t.Env["OPENMAS_URL"] = r.private.Load().url
		t.Env["OPENMAS_TOKEN"] = r.token(d, agent.Identity{Agent: p.name, Instance: i.ID})
		return t, nil
	}
	err := r.own(&t, d, i, n)
	return t, err
}

var transports = map[string]mcp.Transport{project.OverStdio: mcp.Stdio, project.OverSSE: mcp.SSE,
	project.OverHTTP: mcp.Streamable}

func (r *Runtime) connectOptions(p planned) client.Options {
	o := client.Options{Logger: r.log, HandshakeTimeout: p.of.StartTimeout(p.name), TimeoutKey: "start.timeout",
		PingInterval: r.cfg.MCP.PingInterval, MaxFrame: int(r.cfg.MCP.MaxFrame), FrameKey: "mcp.max_frame",
		MaxBody:    int(r.cfg.MCP.MaxBody),
		StdinGrace: p.of.Child.StdinWait, TermGrace: p.of.Child.TermWait,
		OnChanged: func(agent.Info) { r.refresh() }, NoFastPath: noFastPath(r.cfg.MCP)}
	if p.cfg.Ping != 0 {
		o.PingInterval = p.cfg.Ping
	}
	if p.kind == project.KindURL {
		o.HandshakeTimeout, o.TimeoutKey = p.of.Connect.Timeout, "connect.timeout"
	}
	return o
}

// foreignSession is what the project allows of a session; all of one to a process of our own.
func (r *Runtime) foreignSession(s *client.Session, p planned, instance string) communicator.Peer {
	warnMissing(s, p.cfg, r.log)
	f := &foreign{Session: s, allow: p.cfg.AllowTools}
	if p.kind == project.KindCommand {
		f.served = r.private.Load().servedBy(instance)
		f.served.Forget()
	}
	if f.allow == nil && f.served == nil {
		return s
	}
	return f
}

// warnMissing says which of the tools that the project names the server does not have.
func warnMissing(s *client.Session, a project.Agent, log *slog.Logger) {
	missing := func(key string, names []string) {
		for _, name := range names {
			if info := s.Info(); !offers(info, name) {
				log.Warn("the project file names a tool that the server does not have", "agent", info.Name,
					"key", key, "tool", name)
			}
		}
	}
	missing("tools", slices.Sorted(maps.Keys(a.Tools)))
	missing("allow_tools", a.AllowTools)
}

// A foreign session leads to a server of which only some tools may be used, or to a program whose
// calls back are placed below those that it serves.
type foreign struct {
	*client.Session
	allow  []string         // nil: all
	served *callback.Served // nil: it has no way to call back
}

// Info implements [communicator.Peer].
func (f *foreign) Info() agent.Info {
	info := f.Session.Info()
	if f.allow != nil {
		info.Tools = slices.DeleteFunc(slices.Clone(info.Tools), func(t agent.ToolInfo) bool {
			return !slices.Contains(f.allow, t.Name)
		})
	}
	return info
}

// Call implements [agent.Caller].
func (f *foreign) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if f.allow != nil && c.Op == agent.OpTool && !slices.Contains(f.allow, c.Name) {
		return nil, agent.Refusedf(agent.CodeNotFound, "%s: the project does not allow this tool "+
			"(agents.%s.allow_tools)", c.Target(), c.Agent)
	}
	if f.served == nil {
		return f.Session.Call(ctx, c)
	}
	return f.served.Call(ctx, c, f.Session)
}
