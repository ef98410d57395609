package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"
	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/guard"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/access"
	"github.com/openmas/openmas/runtime/internal/callback"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/updates"
	"github.com/openmas/openmas/runtime/internal/waits"
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
			why := func() string { return *step.Load() }
			if !p.foreign() { // it serves MCP when it has started
				why = waits.Because("its Start has not returned")
			}
			defer r.waits.Begin(i.ID, why, opts.HandshakeTimeout, opts.TimeoutKey)()
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
		MaxBody: int(r.cfg.MCP.MaxBody), Visits: true,
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

// Probed is what the server behind a command or url has answered when it was asked what it offers.
type Probed struct {
	Agent string
	// Info is all that it offers, also what allow_tools leaves out.
	Info agent.Info
	Took time.Duration
	// Err is why it could not be asked; nil: it could. Its text has no secret of the project, what
	// [client.LastLines] finds in it may.
	Err error
	// StopSignal is that of [client.Session] where the program was ended.
	StopSignal string
}

// ProbeOptions are for those who wait for [Runtime.Probe]. Both functions are called by one
// goroutine at a time, must be quick, and may be nil.
type ProbeOptions struct {
	// Done is told of each server, once.
	Done func(Probed)
	// Waits is told who is waited for and why: after 5 s, and every 10 s from then on.
	Waits func(string)
}

// Probe starts the programs of the project's commands and connects to its urls, asks each what it
// offers, and ends them again: what a check before a run can find out. As many as start.parallel
// says are asked at the same time, each for as long as start.timeout or connect.timeout lets it.
// The answers are in the order of the agents' names. Nothing else is started, and a Runtime that
// has probed does not run: calls of the programs are refused.
func (r *Runtime) Probe(ctx context.Context, o ProbeOptions) (all []Probed, err error) {
	if !r.ran.CompareAndSwap(false, true) {
		return nil, errors.New("this runtime has run already: make a new one")
	}
	foreign := slices.DeleteFunc(slices.Clone(r.now.Load().plan), func(p planned) bool { return !p.foreign() })
	if len(foreign) == 0 {
		return nil, nil
	}
	slices.SortFunc(foreign, func(a, b planned) int { return strings.Compare(a.name, b.name) })
	ended := r.newGuard()
	r.onClose("guard of child processes", ended.Close)
	ctx = guard.With(ctx, ended)
	if err := r.refuseCalls(ctx); err != nil {
		return nil, errors.Join(err, r.closeProbe(ctx))
	}
	reporting, stop := context.WithCancel(ctx)
	var reporter conc.WaitGroup
	var telling sync.Mutex
	reporter.Go(func() {
		r.waits.Tell(reporting, "", func(text string) {
			telling.Lock()
			defer telling.Unlock()
			if o.Waits != nil {
				o.Waits(text)
			}
		})
	})
	all = make([]Probed, len(foreign))
	asking := concpool.New().WithMaxGoroutines(r.cfg.Start.Parallel)
	for n, p := range foreign {
		asking.Go(func() {
			all[n] = r.probe(ctx, p)
			telling.Lock()
			defer telling.Unlock()
			if o.Done != nil {
				o.Done(all[n])
			}
		})
	}
	asking.Wait()
	stop()
	reporter.Wait()
	return all, errors.Join(context.Cause(ctx), r.closeProbe(ctx))
}

// probe asks one agent.
func (r *Runtime) probe(ctx context.Context, p planned) Probed {
	began := time.Now()
	d, out := &deployment{planned: p}, Probed{Agent: p.name}
	s, err := r.asked(ctx, d)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.drainTimeout())
	defer cancel()
	if err = errors.Join(err, d.undo.Run(ending)); s != nil {
		if out.Info, out.StopSignal = s.Info(), s.StopSignal(); errors.Is(err, client.ErrKilled) {
			err = nil // StopSignal has it
		}
	}
	out.Took, out.Err = time.Since(began), r.mask(err)
	return out
}

// asked connects to the first instance of an agent. What was started is taken back with d.undo.
func (r *Runtime) asked(ctx context.Context, d *deployment) (*client.Session, error) {
	target, err := r.target(d, route.NewPool(d.name, 1).Instances()[0], 0)
	if err != nil {
		return nil, err
	}
	opts, step := r.connectOptions(d.planned), atomic.Pointer[string]{}
	opts.OnStep, opts.OnChanged = func(s string) { step.Store(&s) }, nil
	opts.OnStep("the MCP handshake has not ended")
	defer r.waits.Begin(d.name, func() string { return *step.Load() }, opts.HandshakeTimeout, opts.TimeoutKey)()
	s, err := client.Connect(ctx, target, opts)
	if err != nil {
		return nil, err
	}
	d.undo.Add("the session", s.Close)
	opts.OnStep("its lists are not read to their end")
	reading, cancel := context.WithTimeout(ctx, opts.HandshakeTimeout)
	defer cancel()
	s.Listed(reading)
	return s, nil
}

// refuseCalls opens a private listener for programs that want to call back, and refuses that.
func (r *Runtime) refuseCalls(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open the private listener: %w", err)
	}
	r.private.Store(&private{url: "http://" + ln.Addr().String()})
	r.serveHTTP(&r.privateUndo, "private listener", ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the project does not run: its programs are only asked what they offer",
			http.StatusServiceUnavailable)
	}))
	return nil
}

// closeProbe ends what Probe has started for all agents.
func (r *Runtime) closeProbe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.drainTimeout())
	defer cancel()
	err := errors.Join(r.privateUndo.Run(ctx), r.undo.Run(ctx))
	r.tasks.Wait()
	return err
}
