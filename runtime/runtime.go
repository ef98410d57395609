package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/cluster"
	"github.com/openmas/openmas/runtime/internal/mask"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/statekey"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// Options are what a program decides, where a [project.Config] is what a project decides. The zero
// value will do.
type Options struct {
	// Logger gets the runtime's and the agents' log, the project's secrets masked. Default: none.
	Logger *slog.Logger
	// Output is where agents write results: see [agent.Env]. Default: standard output.
	Output io.Writer
	// Mode is what this process does for the project. Default: [ModeServe].
	Mode Mode
	// Only hosts these agents of the project; empty: all. See [Mode].
	Only []string
	// Version of the program, for status and MCP clients.
	Version string
	// BrokerWait is how long a broker that is down at start is waited for; 0: for as long as it
	// takes, negative: not at all.
	BrokerWait time.Duration
	// Drivers are brokers of the program's own, by the word under broker.type that chooses one.
	Drivers map[string]NewDriver
	// Strict fails the start when any agent cannot be reached at first, as if all were critical
	// until the system is ready.
	Strict bool
	// OnReady is called once, when every agent is up and the gateway answers.
	OnReady func(Status)
	// Child starts a child process of this program that ends up in [ServeChild]: argv, and
	// variables to add to its environment. Default: the executable itself with OPENMAS_CHILD=1.
	Child    []string
	ChildEnv map[string]string
}

// A Runtime runs the agents of one project. Make it with [New]; it runs once.
type Runtime struct {
	cfg  *project.Config
	opts Options
	log  *slog.Logger
	plan []planned

	dir     *route.Directory
	budget  *resilience.Budget
	started time.Time
	ran     atomic.Bool
	phase   atomic.Value // string: see Status.State
	ready   chan struct{}
	url     atomic.Value // string: the gateway's

	tel       *telemetry.Telemetry
	driver    pubsub.Driver
	broker    *pubsub.Communicator
	events    *eventRoutes
	local     *communicator.Local
	cluster   *cluster.Cluster // nil with a broker of our own
	process   string
	state     string          // the folder for what is kept
	shared    *server.Process // by all MCP endpoints
	private   *private
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

// New checks a project against the types of this program and prepares to run it. It starts nothing:
// no goroutine, no socket, no process. All problems are reported at once.
func New(cfg *project.Config, types agent.Types, o Options) (*Runtime, error) {
	cfg, err := cfg.Complete()
	if err != nil {
		return nil, err
	}
	o.Logger = mask.Logger(cfg, o.Logger)
	if o.Output == nil {
		o.Output = os.Stdout
	}
	if err := o.check(cfg); err != nil {
		return nil, err
	}
	if err := checkDriver(cfg, o.Drivers); err != nil {
		return nil, err
	}
	plan, err := makePlan(cfg, types, o.Only, o.Logger)
	if err != nil {
		return nil, mask.Text(cfg, err)
	}
	r := &Runtime{cfg: cfg, opts: o, log: o.Logger, plan: plan, dir: &route.Directory{}, local: communicator.NewLocal(),
		ready:  make(chan struct{}),
		turns:  make(chan struct{}, cfg.Start.Parallel),
		fatal:  make(chan error, 1),
		budget: resilience.NewBudget(resilience.DefaultBudgetPolicy())}
	for _, p := range plan {
		if p.arrival != nil && o.Strict {
			p.arrival.must = true
		}
	}
	r.process, r.state = newProcess(), cfg.StateDir()
	r.shared = server.NewProcess(r.process, statekey.Source{Project: cfg.Project, Secrets: cfg.MCP.RequestStateKeys,
		Dir: r.state, Logger: r.log}.Keys())
	r.phase.Store("starting")
	r.url.Store("")
	return r, nil
}

// Directory reaches the agents of the running system, those of foreign servers included. What a
// call says about its caller is taken as it is: it is not for agents. [Runtime.Context] is what a
// program calls with.
func (r *Runtime) Directory() agent.Directory { return r.dir }

// Ready is closed when every agent is up.
func (r *Runtime) Ready() <-chan struct{} { return r.ready }

// Status describes the system as it is now.
func (r *Runtime) Status() Status {
	s := Status{Project: r.cfg.Project, Version: r.opts.Version, PID: os.Getpid(), Started: r.started,
		State: r.phase.Load().(string), URL: r.url.Load().(string), Gateway: r.gatewayStatus()}
	select {
	case <-r.ready:
	default:
		return s // what starts is not to be looked at yet
	}
	elsewhere, waiting := r.elsewhere(), r.waiting()
	for _, c := range r.dir.All() {
		if c.Name == selfName {
			continue
		}
		st := statusOf(c)
		sick := c.Unhealthy(context.Background())
		for n, i := range st.Instances {
			if err := sick[i.ID]; err != nil {
				st.Instances[n].Unhealthy = err.Error()
			}
		}
		st.merge(elsewhere[c.Name])
		st.Runner, st.WaitsFor = r.runners.state(c.Name), waiting[c.Name]
		s.Agents = append(s.Agents, st)
	}
	return s
}

// Run starts the system, keeps it alive, and stops it in order: when ctx ends, when a critical
// agent has failed for good (an error), or with [ModeOnce] when every Runner has returned. What
// started is stopped again when starting fails halfway. The error's text has no secret of the
// project; errors.Is and errors.As find its causes as they are.
func (r *Runtime) Run(ctx context.Context) error { return mask.Text(r.cfg, r.run(ctx)) }

func (r *Runtime) run(ctx context.Context) error {
	if !r.ran.CompareAndSwap(false, true) {
		return errors.New("this runtime has run already: make a new one")
	}
	r.started = time.Now()
	// Agents and sessions outlive ctx: they end in the order of the drain.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	err := r.startAndReport(ctx, base)
	if err != nil {
		r.phase.Store("draining")
		undo, cancel := context.WithTimeout(base, share(r.cfg.Drain.Timeout, inFlightShare))
		defer cancel()
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("start given up (%w): %w", cause, err)
		}
		return errors.Join(err, r.closeAll(undo))
	}
	r.phase.Store("ready")
	close(r.ready)
	if r.opts.OnReady != nil {
		r.opts.OnReady(r.Status())
	}
	done := r.startRunners(base)
	if r.opts.Mode != ModeOnce {
		done = nil
	}
	var cause error
	select {
	case <-ctx.Done():
		r.log.Info("stopping", "why", context.Cause(ctx))
	case cause = <-r.fatal:
		r.log.Error("stopping", "why", cause)
	case <-done:
		cause = r.runners.failed()
		r.log.Debug("every runner has returned")
	}
	return errors.Join(cause, r.drain(base, cancel))
}

func (r *Runtime) onClose(what string, f func(context.Context) error) { r.undo.Add(what, f) }

// closeAll stops what was started.
func (r *Runtime) closeAll(ctx context.Context) error {
	err := r.undo.Run(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.tasks.Wait()
	}()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
		select {
		case <-ended: // what ends with ctx gets a moment
			return err
		case <-time.After(time.Second):
			return errors.Join(err, fmt.Errorf("something does not end although its context has: %w", ctx.Err()))
		}
	}
}
