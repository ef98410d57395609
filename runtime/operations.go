package runtime

import (
	"context"
	"encoding/json"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/ops"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/telemetry"
)

// startOperations opens the socket for whoever runs this process. Without it, the process cannot be
// found, and does its work nevertheless. Processes that end with a command have none, and a program
// that has no project file cannot be looked for.
func (r *Runtime) startOperations(ctx context.Context) error {
	if r.cfg.File == "" || r.opts.Mode.calm() {
		return nil
	}
	host, err := r.operatorsRuntime()
	if err != nil {
		return err
	}
	id, err := ops.ProjectOf(r.cfg.File)
	var ln *ops.Listener
	if err == nil {
		ln, err = ops.Listen(ctx, id, r.process)
	}
	if err != nil {
		r.log.Warn("there is no operations socket: openmas status, list and call do not find this process",
			"error", err)
		return nil
	}
	o := r.hostOptions()
	o.Limits, o.Identify = privateLimits(r.cfg.MCP), ln.Identify
	r.ops = ops.NewServer(ops.ServerOptions{Options: o, Project: r.cfg.Project, Agents: r.dir, Runtime: host,
		Up: r.ready, Ready: r.operatorsReadiness, Metrics: r.metrics.Handler(),
		Mask: r.mask})
	r.serveHTTP(&r.undo, "operations socket", ln, r.ops)
	r.onClose("operations", r.ops.Close)
	return nil
}

// startProbes opens the listener for probes and scrapers. It is there before anything that takes
// its time, and until everything has ended.
func (r *Runtime) startProbes(ctx context.Context) error {
	o := r.cfg.Ops
	if o == nil || r.opts.Mode.calm() {
		return nil
	}
	h, err := server.Options{}.Guard(ops.Probes{Ready: r.operatorsReadiness, Metrics: r.metrics.Handler(),
		Token: o.Token})
	if err != nil {
		return err
	}
	ln, err := listenOn(ctx, "ops", o.Listen, "ops.listen")
	if err != nil {
		return err
	}
	r.opsURL.Store("http://" + ln.Addr().String())
	r.serveHTTP(&r.undo, "ops", ln, h)
	r.log.Info("probes and scrapers are answered", "ops", r.opsURL.Load())
	return nil
}

// startMetrics makes the instruments: before anything that is measured.
func (r *Runtime) startMetrics(ctx context.Context) error {
	scraped := r.cfg.Ops != nil && !r.opts.Mode.calm()
	m, err := telemetry.SetupMetrics(ctx, r.telemetryConfig(), scraped, func(name, tool string) bool {
		c := r.dir.Find(name)
		return c != nil && c.Offers(tool)
	})
	if err != nil {
		return err
	}
	r.metrics = m
	r.onEnd("metrics", m.Shutdown)
	return m.Observe(r.snapshot)
}

// snapshot is what instruments show that are asked for their values.
func (r *Runtime) snapshot() (s telemetry.Snapshot) {
	if gw := r.gateway.Load(); gw != nil {
		s.Sessions = map[string]int{}
		for _, open := range gw.Sessions() {
			s.Sessions[overOf(open.Transport)]++
		}
	}
	select {
	case <-r.ready:
	default:
		return s // what starts is not to be looked at yet
	}
	for _, c := range r.dir.All() {
		if c.Name == child.Runtime {
			continue
		}
		a := telemetry.AgentSnapshot{Name: c.Name, InFlight: c.UnderWay(),
			Queued:  c.Waiting() + r.broker.Queued(c.Name),
			Retries: c.Retries(), Instances: map[string]int{string(StateReady): 0},
			Breakers: map[string]int{string(resilience.BreakerOpen): 0}}
		for _, b := range c.Breakers() {
			a.Breakers[string(b.State)]++
		}
		p := r.now.Load().agents[c.Name]
		child := p != nil && p.cfg.Child()
		for _, i := range c.Shown.Instances() {
			a.Instances[string(i.Look().State)]++
			if n := i.Restarts(); child {
				a.Restarts += n
			} else {
				a.Reconnects += n
			}
		}
		s.Agents = append(s.Agents, a)
	}
	return s
}

func (r *Runtime) operatorsReadiness() error { return r.readiness(true) }

// operatorsRuntime is the runtime as those have it who run this process: see package ops.
func (r *Runtime) operatorsRuntime() (*agent.Host, error) {
	return r.selfHost(func(*agent.Call) Status { return r.Status() }, func(*agent.Call) Listing { return r.Listing() },
		agent.NewTool("publish", "Publish an event to the agents that subscribe to its topic.",
			func(ctx context.Context, e published) (Reach, error) {
				err := agent.Publish(r.Context(ctx), e.Topic, e.Payload, agent.EventKey(e.Key))
				return r.Reach(e.Topic, e.Payload), err
			}),
		agent.NewTool("dead_letters", "List durable events that an agent could not handle, the oldest first.",
			func(ctx context.Context, in deadLetters) (found deadLettersFound, err error) {
				if err = (program{r}).open(); err == nil {
					found.Events, err = r.DeadLetters(ctx, in.Agent, in.Topic, in.Limit)
				}
				return found, err
			}, agent.ReadOnly(), agent.OpenWorld(false)),
		agent.NewTool("replay_events", "Deliver events again that an agent could not handle.",
			func(ctx context.Context, in replay) (done replayed, err error) {
				if err = (program{r}).open(); err != nil {
					return done, err
				}
				if in.All {
					dead, err := r.DeadLetters(ctx, "", "", maxReplay)
					if err != nil || len(dead) == 0 {
						return done, err
					}
					for _, d := range dead {
						in.Seqs = append(in.Seqs, d.Seq)
					}
				}
				done.Replayed, err = r.ReplayEvents(ctx, in.Seqs...)
				return done, err
			}),
		r.operatingTool("restart", "Restart an agent or one instance of it. Calls in flight end first, and new ones "+
			"wait or go to another instance.", restarting),
		r.operatingTool("stop", "Stop an agent, one instance of it, or the whole process, when calls in flight have "+
			"ended.", stopping),
		r.operatingTool("start", "Start an agent or one instance of it that was stopped, has failed, or waits for its "+
			"next attempt.", starting),
		agent.NewTool("reload", "Read the project file anew and change what has changed in it, one agent after the "+
			"other.", func(ctx context.Context, in reloadOrder) (Reloaded, error) {
			return r.reloadFile(context.WithoutCancel(ctx), in.DryRun)
		}),
	)
}

func (r *Runtime) operatingTool(name, description string, op operation) agent.Tool {
	return agent.NewTool(name, description, func(ctx context.Context, o order) (Operated, error) {
		return r.operate(ctx, op, o)
	})
}

type reloadOrder struct {
	DryRun bool `json:"dryRun,omitempty" jsonschema:"say what would change, and change nothing"`
}

type published struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
	Key     string          `json:"key,omitempty"`
}

type deadLetters struct {
	Agent string `json:"agent,omitempty"`
	Topic string `json:"topic,omitempty"`
	Limit int    `json:"limit"`
}

type deadLettersFound struct {
	Events []DeadLetter `json:"events"`
}

type replay struct {
	Seqs []uint64 `json:"seqs,omitempty"`
	All  bool     `json:"all,omitempty"`
}

// maxReplay bounds how many events are replayed at once where all are.
const maxReplay = 10_000

type replayed struct {
	Replayed int `json:"replayed"`
}
