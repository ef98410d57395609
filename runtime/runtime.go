package runtime

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/ops"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/access"
	"github.com/openmas/openmas/runtime/internal/budget"
	"github.com/openmas/openmas/runtime/internal/cluster"
	"github.com/openmas/openmas/runtime/internal/keep"
	"github.com/openmas/openmas/runtime/internal/mask"
	"github.com/openmas/openmas/runtime/internal/reload"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/internal/waits"
	"github.com/openmas/openmas/runtime/project"
)

// A Runtime runs the agents of one project. Make it with [New]; it runs once.
type Runtime struct {
	// cfg is what the process was started with: what a reload cannot change. now is the rest.
	cfg     *project.Config
	now     atomic.Pointer[system]
	types   agent.Types
	opts    Options
	log     *slog.Logger
	secrets *mask.Secrets
	// base is the context that agents and sessions live in, and reloads is who changes them.
	base    context.Context
	reloads reload.Turns

	dir     *route.Directory
	calls   *calls.Log
	budget  *resilience.Budget
	trees   budget.Trees
	started atomic.Pointer[time.Time] // nil: not yet
	ran     atomic.Bool
	phase   atomic.Value // string: see Status.State
	ready   chan struct{}
	url     atomic.Value // string: the gateway's
	opsURL  atomic.Value // string: that of probes and scrapers

	tel       *telemetry.Telemetry
	metrics   *telemetry.Metrics // nil: off
	sent      *telemetry.Logs    // nil: the log is not sent
	driver    pubsub.Driver
	broker    *pubsub.Communicator
	lasting   *reload.Lasting // what agents are offered with over the broker
	events    *eventRoutes
	local     *communicator.Local
	cluster   *cluster.Cluster // nil with a broker of our own
	process   string
	state     string    // the folder for what is kept
	kept      *keep.Log // the log in files; nil: there are none
	crashes   crashes.Keeper
	shared    *server.Process         // by all MCP endpoints
	private   atomic.Pointer[private] // nil: nobody has needed it
	ops       *ops.Server             // nil: nobody can find this process
	gateway   atomic.Pointer[server.Gateway]
	publisher agent.Publisher
	listener  net.Listener

	undo, privateUndo lifecycle.Undo
	// deployments are the agents that were started, in that order. onBack is called when one is
	// back that had failed.
	deployments deployments
	onBack      func(planned)
	// waits are what the start waits for, and patience is when it waits no longer for agents that
	// may come later; turns bounds how many child processes start at the same time.
	waits    waits.List
	patience time.Time
	turns    chan struct{}
	// subscriptions to resources of foreign servers: agent to *updates.Subscriptions.
	subscriptions sync.Map
	// tasks are the goroutines that keep sessions alive; each ends when what it serves is taken
	// back.
	tasks   conc.WaitGroup
	runners runners
	// fatal gets the failure of a critical agent, and quit is closed when the operator stops the
	// process.
	fatal    chan error
	quit     chan struct{}
	quitOnce sync.Once
}

// Directory reaches the agents of the running system, those of foreign servers included. What a
// call says about its caller is taken as it is: it is not for agents. [Runtime.Context] is what a
// program calls with.
func (r *Runtime) Directory() agent.Directory { return r.dir }

// Ready is closed when every agent is up.
func (r *Runtime) Ready() <-chan struct{} { return r.ready }

func (r *Runtime) onClose(what string, f func(context.Context) error) { r.undo.Add(what, f) }

// onEnd ends a kind of telemetry when the system has stopped.
func (r *Runtime) onEnd(what string, shutdown func(context.Context) error) {
	r.onClose(what, func(ctx context.Context) error {
		telemetry.End(ctx, r.log, shutdown)
		return nil
	})
}

// A deployment is an agent that was started.
type deployment struct {
	planned
	callee *route.Callee
	units  []unit // by instance
	undo   lifecycle.Undo
	// events are those that it gets; none while it is stopped.
	events listening
	// replaces is what runs until this one is up; nil: nothing does. runners are its Runners.
	replaces *deployment
	runners  []*runner
	// settled is closed when what it has replaced has ended and its Runners have begun; nil: it has
	// replaced nothing. ending is how many have not ended that came before it.
	settled chan struct{}
	ending  int
	// ran is whose Runners are the last that have begun, where they are not its own.
	ran *deployment
	// operated is held by who operates it.
	operated sync.Mutex
	// together: a restart with another agent is about to begin.
	together atomic.Bool
}

// addRunner notes a Runner of the deployment. It is known once nothing else has its name: see
// Runtime.beginRunners.
func (d *deployment) addRunner(rs *runners, x *runner) {
	if d.runners = append(d.runners, x); d.replaces == nil {
		rs.join(x)
	}
}

// A unit is one instance of an agent that this process keeps running, as its operator stops it and
// starts it again. Its methods are called one at a time.
type unit interface {
	// halt refuses new calls, waits for those in flight until ctx ends, and ends the instance. With
	// [route.Restarting] as its state new calls wait for begin. The error says what did not end.
	halt(ctx context.Context, as route.State, why error) error
	// begin starts it, whatever its state is, and returns when it takes calls or why it does not.
	begin(ctx context.Context) error
}

// halted is the state that follows the one of halt.
func halted(as route.State) route.State {
	if as == route.Draining {
		return route.Stopped
	}
	return as
}

var errEnding = agent.Refusedf(agent.CodeUnavailable, "the system is stopping")

// deployments are safe for concurrent use.
type deployments struct {
	mu  sync.Mutex
	all []*deployment
}

func (ds *deployments) add(d *deployment) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.all = append(ds.all, d)
}

func (ds *deployments) list() []*deployment {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return slices.Clone(ds.all)
}

// replace puts a deployment in the place of another one; nil takes that away.
func (ds *deployments) replace(old, by *deployment) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	n := slices.Index(ds.all, old)
	switch all := slices.Clone(ds.all); {
	case n < 0:
	case by == nil:
		ds.all = slices.Delete(all, n, n+1)
	default:
		all[n] = by
		ds.all = all
	}
}

// lock holds d, or what has taken its place, until its operated is unlocked. nil: there is nothing.
func (ds *deployments) lock(d *deployment) *deployment {
	for d != nil {
		d.operated.Lock()
		now := ds.find(d.name)
		if now == d {
			return d
		}
		d.operated.Unlock()
		d = now
	}
	return nil
}

// find returns nil for an agent that was not started here.
func (ds *deployments) find(name string) *deployment {
	for _, d := range ds.list() {
		if d.name == name {
			return d
		}
	}
	return nil
}

// private is the listener for the processes of this system: children call back through it, and
// agents that live here but are reached over HTTP have their endpoints on it. It is on loopback, on
// a port of the system's choice, and takes nothing without a token.
type private struct {
	url     string
	gateway *server.Gateway
	host    server.Options
	self    string // the token of this process
	// hosted are the endpoints of agents that live here, by place: http.Handler.
	hosted sync.Map
	places atomic.Int64
	tokens access.Tokens
	// served are the calls of each foreign child, by instance: *callback.Served.
	served sync.Map
}

// token issues what an instance calls back with, until the deployment is taken back.
func (r *Runtime) token(d *deployment, id agent.Identity) string {
	tokens := &r.private.Load().tokens
	token := tokens.Issue(server.Identity{Identity: id})
	d.undo.Add("the token of "+id.Instance, func(context.Context) error { tokens.Revoke(token); return nil })
	return token
}

// stateDir is the private folder of an agent.
func (r *Runtime) stateDir(name string) string { return filepath.Join(r.state, "agents", name) }

func (r *Runtime) draining() bool { return r.phase.Load() == "draining" }

// fail ends the run.
func (r *Runtime) fail(why error) {
	select {
	case r.fatal <- why:
	default: // one is enough
	}
}

// stopByOperator ends the run in order.
func (r *Runtime) stopByOperator() { r.quitOnce.Do(func() { close(r.quit) }) }

// hosted are the agents of the plan that live here.
func (r *Runtime) hosted() []planned {
	if r.opts.Mode == ModeObserve {
		return nil
	}
	plan := r.now.Load().plan
	if len(r.opts.Only) == 0 {
		return plan
	}
	return slices.DeleteFunc(slices.Clone(plan), func(p planned) bool { return !r.hosts(p.name) })
}

// hosts reports whether an agent of the plan lives here.
func (r *Runtime) hosts(name string) bool {
	return r.opts.Mode != ModeObserve && (len(r.opts.Only) == 0 || slices.Contains(r.opts.Only, name))
}

// drainTimeout is how long an orderly stop may take.
func (r *Runtime) drainTimeout() time.Duration { return r.now.Load().cfg.Drain.Timeout }

// callee describes the way to an agent: calls go to next, shown are its instances.
func (r *Runtime) callee(p planned, next agent.Caller, shown *route.Pool) route.Options {
	var own map[string]project.Policy
	for tool := range p.cfg.Tools {
		if own == nil {
			own = make(map[string]project.Policy, len(p.cfg.Tools))
		}
		own[tool] = p.of.PolicyFor(p.name, tool)
	}
	return route.Options{Name: p.name, Over: p.cfg.Communicator, Route: next, Shown: shown,
		Policy: p.of.PolicyFor(p.name, ""), ToolPolicies: own,
		TimeoutKey: func(tool string) string { return p.of.PolicyKey(p.name, tool, "timeout") }, Trusted: !p.foreign(),
		Mask: r.mask, Before: r.dir.Find(p.name),
		Log: r.calls, Telemetry: r.tel, Measured: r.metrics.OfCalls(), Hop: r.hop(p.name, p.cfg.Communicator),
		Budget: r.budget, Trees: &r.trees, BudgetKey: func(tool string) string {
			key, _, _ := strings.Cut(p.of.PolicyKey(p.name, tool, "budget"), ";")
			return key
		}}
}

// hop describes the way to an agent to telemetry.
func (r *Runtime) hop(name, over string) telemetry.Hop {
	h := telemetry.Hop{Communicator: over}
	if over == project.OverPubSub {
		h.System = r.brokerSystem()
		h.Destination, _ = bus.Subject(r.cfg.Project, "call."+name) // the project has a name that fits
	}
	return h
}

// mask takes the project's secrets out of an error.
func (r *Runtime) mask(err error) error { return r.secrets.Error(err) }

// brokerSystem is the broker as OpenTelemetry's messaging.system.
func (r *Runtime) brokerSystem() string { return r.cfg.Broker.Type }

// startsAtOnce bounds how many processes are started at the same time.
const startsAtOnce = 16

// telemetryConfig is what calls are traced with.
func (r *Runtime) telemetryConfig() telemetry.Config {
	c := telemetry.Config{Endpoint: r.cfg.Telemetry.Endpoint, Protocol: r.cfg.Telemetry.Protocol,
		PerProcess: r.cfg.Telemetry.Service == project.ServicePerProcess, Content: r.cfg.Telemetry.Content,
		ServiceName: r.cfg.Project, Project: r.cfg.Project, Process: r.process, Version: r.opts.Version, Logger: r.log,
		Logs: r.cfg.Telemetry.Logs, Provider: r.opts.TracerProvider, MeterProvider: r.opts.MeterProvider,
		Mask: r.secrets.Redact}
	if r.cfg.File != "" { // else nobody could find them
		c.State, c.Recent = r.state, int64(r.cfg.Telemetry.Recent)
	}
	return c
}
