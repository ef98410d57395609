package runtime

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/ops"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/access"
	"github.com/openmas/openmas/runtime/internal/cluster"
	"github.com/openmas/openmas/runtime/internal/keep"
	"github.com/openmas/openmas/runtime/internal/mask"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// A Runtime runs the agents of one project. Make it with [New]; it runs once.
type Runtime struct {
	cfg  *project.Config
	opts Options
	log  *slog.Logger
	plan []planned

	dir     *route.Directory
	calls   *calls.Log
	budget  *resilience.Budget
	started atomic.Pointer[time.Time] // nil: not yet
	ran     atomic.Bool
	phase   atomic.Value // string: see Status.State
	ready   chan struct{}
	url     atomic.Value // string: the gateway's
	opsURL  atomic.Value // string: that of probes and scrapers

	tel       *telemetry.Telemetry
	metrics   *telemetry.Metrics // nil: off
	driver    pubsub.Driver
	broker    *pubsub.Communicator
	events    *eventRoutes
	local     *communicator.Local
	cluster   *cluster.Cluster // nil with a broker of our own
	process   string
	state     string          // the folder for what is kept
	kept      *keep.Log       // the log in files; nil: there are none
	shared    *server.Process // by all MCP endpoints
	private   *private
	ops       *ops.Server // nil: nobody can find this process
	gateway   atomic.Pointer[server.Gateway]
	publisher agent.Publisher
	listener  net.Listener

	undo lifecycle.Undo
	// waits are what the start waits for, and patience is when it waits no longer for agents that
	// may come later; turns bounds how many child processes start at the same time.
	waits    waits
	patience time.Time
	turns    chan struct{}
	// subscriptions to resources of foreign servers: agent to *resourceSubscriptions.
	subscriptions sync.Map
	// tasks are the goroutines that keep sessions alive; each ends when what it serves is taken
	// back.
	tasks   conc.WaitGroup
	runners runners
	// fatal gets the failure of a critical agent.
	fatal chan error
}

// Directory reaches the agents of the running system, those of foreign servers included. What a
// call says about its caller is taken as it is: it is not for agents. [Runtime.Context] is what a
// program calls with.
func (r *Runtime) Directory() agent.Directory { return r.dir }

// Ready is closed when every agent is up.
func (r *Runtime) Ready() <-chan struct{} { return r.ready }

func (r *Runtime) onClose(what string, f func(context.Context) error) { r.undo.Add(what, f) }

// private is the listener for the processes of this system: children call back through it, and
// agents that live here but are reached over HTTP have their endpoints on it. It is on loopback, on
// a port of the system's choice, and takes nothing without a token.
type private struct {
	url     string
	gateway *server.Gateway
	hosted  map[string]communicator.Communicator // by Over… word
	tokens  access.Tokens
}

func (r *Runtime) draining() bool { return r.phase.Load() == "draining" }

// fail ends the run.
func (r *Runtime) fail(why error) {
	select {
	case r.fatal <- why:
	default: // one is enough
	}
}

// hosted are the agents of the plan that live here.
func (r *Runtime) hosted() []planned {
	if r.opts.Mode == ModeObserve {
		return nil
	}
	if len(r.opts.Only) == 0 {
		return r.plan
	}
	return slices.DeleteFunc(slices.Clone(r.plan), func(p planned) bool {
		return !slices.Contains(r.opts.Only, p.name)
	})
}

// callee describes the way to an agent: calls go to next, shown are its instances.
func (r *Runtime) callee(p planned, next agent.Caller, shown *route.Pool) route.Options {
	var own map[string]project.Policy
	for tool := range p.cfg.Tools {
		if own == nil {
			own = make(map[string]project.Policy, len(p.cfg.Tools))
		}
		own[tool] = r.cfg.PolicyFor(p.name, tool)
	}
	return route.Options{Name: p.name, Over: p.cfg.Communicator, Route: next, Shown: shown,
		Policy: r.cfg.PolicyFor(p.name, ""), ToolPolicies: own, Trusted: !p.foreign(), Mask: r.mask,
		Log: r.calls, Telemetry: r.tel, Measured: r.metrics.OfCalls(), Hop: r.hop(p.name, p.cfg.Communicator),
		Budget: r.budget}
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

// arriving is a directory whose calls are those of the gateway's clients, which have a span for its
// part of them.
type arriving struct {
	agent.Directory
	calls agent.Caller
}

// Call implements [agent.Caller].
func (a arriving) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return a.calls.Call(ctx, c)
}

// mask takes the project's secrets out of an error.
func (r *Runtime) mask(err error) error { return mask.Error(r.cfg, err) }

// brokerSystem is the broker as OpenTelemetry's messaging.system.
func (r *Runtime) brokerSystem() string { return r.cfg.Broker.Type }

// startsAtOnce bounds how many processes are started at the same time.
const startsAtOnce = 16

// telemetryConfig is what calls are traced with.
func (r *Runtime) telemetryConfig() telemetry.Config {
	c := telemetry.Config{Endpoint: r.cfg.Telemetry.Endpoint, Protocol: r.cfg.Telemetry.Protocol,
		PerProcess: r.cfg.Telemetry.Service == project.ServicePerProcess, Content: r.cfg.Telemetry.Content,
		ServiceName: r.cfg.Project, Project: r.cfg.Project, Process: r.process, Version: r.opts.Version, Logger: r.log,
		Provider: r.opts.TracerProvider, MeterProvider: r.opts.MeterProvider}
	if r.cfg.File != "" { // else nobody could find them
		c.State, c.Recent = r.state, int64(r.cfg.Telemetry.Recent)
	}
	if r.cfg.HasSecrets() {
		c.Mask = r.cfg.Redact
	}
	return c
}
