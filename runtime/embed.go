package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/telemetry"
)

// Context returns a context for calls and events of the program that runs the system: with it
// [agent.Ask], [agent.Publish] and the like reach the agents. They come from the agent openmas, as
// those of the runtime do. Before the system is ready, and once it stops, they are unavailable
// errors.
//
// A program that calls for somebody whom it has authenticated says so:
//
//	ctx = agent.WithEnv(ctx, agent.Env{User: "ann", Directory: r.Directory()})
func (r *Runtime) Context(ctx context.Context) context.Context {
	p := program{r}
	return agent.WithEnv(ctx, agent.Env{Name: child.Runtime, Logger: r.log, Directory: p, Publisher: p,
		Dir: r.cfg.Dir, Output: r.opts.Output})
}

// Call calls the tool "agent.tool" with in as its arguments, like [agent.CallTool] in
// [Runtime.Context]. Errors are or wrap an [*agent.Error].
func (r *Runtime) Call(ctx context.Context, tool string, in any, opts ...agent.CallOption) (*agent.Result, error) {
	return agent.CallTool(r.Context(ctx), tool, in, opts...)
}

// Traced returns the session with the caller's span of each call, for a client of a system that
// runs elsewhere. The standard variables of OpenTelemetry say where the spans go; environ looks
// them up, and without them there are none. end sends what there is, for 1.5 s at most, and
// must be called.
func Traced(ctx context.Context, s *client.Session, environ func(string) (string, bool),
	o Options) (traced agent.Caller, end func(context.Context), err error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	host, _ := os.Hostname() // it is for people, and may be missing
	tel, err := telemetry.Setup(ctx, telemetry.Config{Process: fmt.Sprintf("%s/%d", host, os.Getpid()),
		Version: o.Version, Logger: log, Environ: environ, Provider: o.TracerProvider})
	if err != nil {
		return nil, nil, err
	}
	hop := telemetry.Hop{Entry: true}
	for over, t := range transports {
		if t == s.Transport() {
			hop.Communicator = over
		}
	}
	end = func(ctx context.Context) { telemetry.End(ctx, log, tel.Shutdown) }
	return tel.Client(hop)(s), end, nil
}

// program is how the program around the runtime reaches the agents.
type program struct{ r *Runtime }

// open refuses what comes before the system is ready, or when it stops.
func (p program) open() error {
	select {
	case <-p.r.ready:
		if p.r.draining() {
			return agent.Refusedf(agent.CodeUnavailable, "the system is stopping")
		}
		return nil
	default:
		return agent.Refusedf(agent.CodeUnavailable, "the system is not up: call once Runtime.Ready is closed")
	}
}

// Call implements [agent.Caller].
func (p program) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	return p.r.dir.Call(ctx, c)
}

// Agents implements [agent.Directory].
func (p program) Agents() []agent.Info { return p.r.dir.Agents() }

// Agent implements [agent.Directory].
func (p program) Agent(name string) (agent.Info, bool) { return p.r.dir.Agent(name) }

// Publish implements [agent.Publisher].
func (p program) Publish(ctx context.Context, e agent.Event) error {
	if err := p.open(); err != nil {
		return err
	}
	return p.r.publisher.Publish(ctx, e)
}
