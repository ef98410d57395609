package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/delivery"
	"github.com/openmas/openmas/internal/guard"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/reload"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// ServeChild is the main of a child process: it reads who it is from in, starts that agent, and
// serves it over MCP on in and out until in ends. Logs go to errOut, and so do the agent's results,
// since out is the protocol's. The program must not write to out by itself. The process may also be
// the guard of the others: then it ends after its parent, and kills what that has left.
func ServeChild(ctx context.Context, types agent.Types, in io.Reader, out, errOut io.Writer) error {
	// What the agent starts is no child of this kind.
	if err := os.Unsetenv(ChildVar); err != nil {
		return fmt.Errorf("child process: %w", err)
	}
	return child.Serve(ctx, types, in, out, errOut)
}

// own makes t a child process of this program that runs instance n of one of its types.
func (r *Runtime) own(t *client.Target, d *deployment, i *route.Instance, n int) error {
	p := d.planned
	t.Trusted = true
	t.Command = r.opts.Child
	if p.program != nil {
		t.Command = p.program.Command
	} else if len(t.Command) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("agent %s: find the program to run in a child process: %w", p.name, err)
		}
		t.Command = []string{exe}
	}
	vars, headers := r.telemetryConfig().ForOwn(p.name)
	maps.Copy(vars, t.Env) // its own win
	t.Env = vars
	if p.inside {
		t.Dir, t.Env = p.program.Dir, map[string]string{}
		maps.Copy(t.Env, p.program.Env)
		maps.Copy(t.Env, vars)
	}
	maps.Copy(t.Env, r.opts.ChildEnv)
	t.Env[ChildVar] = "1"
	private := r.private.Load()
	h := child.Hello{Version: child.Version, Program: r.opts.Version, Project: r.cfg.Project, Process: r.process,
		Secrets: p.of.SecretsIn(p.cfg.Config), Agent: p.name,
		Instance: i.ID, Type: p.cfg.Type, Config: p.cfg.Config, StateDir: r.stateDir(p.name), Dir: r.cfg.Dir,
		Broker: r.brokerSystem(), URL: private.url,
		Token:   r.token(d, agent.Identity{Agent: d.name, Instance: i.ID, Trusted: true}),
		Timeout: reload.Longest(p.of), Run: p.runner && (n == 0 || p.cfg.Run == "all"),
		Restart:   r.restarts(p),
		Telemetry: r.cfg.Telemetry, ExportHeaders: headers, LogLevel: r.logLevel(), Limits: privateLimits(r.cfg.MCP),
		NoFastPath: noFastPath(r.cfg.MCP)}
	if r.cfg.File != "" {
		h.State = r.state
	}
	var err error
	if t.Hello, err = json.Marshal(h); err != nil {
		return fmt.Errorf("agent %s: encode its config for a child process: %w", p.name, err)
	}
	return nil
}

// newGuard returns the guard of the child processes; nil: this program may not know how to be one.
// It does if it has children of its own, which need [ServeChild] as well.
func (r *Runtime) newGuard() *guard.Guard {
	command := r.opts.Child
	if len(command) == 0 {
		own := func(p planned) bool { return p.kind == project.KindType && p.cfg.Communicator == project.OverStdio }
		exe, err := os.Executable()
		if err != nil || !r.opts.ServesChildren && !slices.ContainsFunc(r.hosted(), own) {
			return nil
		}
		command = []string{exe}
	}
	env := []string{ChildVar + "=1", "GOMAXPROCS=1"}
	for name, value := range r.opts.ChildEnv {
		env = append(env, name+"="+value)
	}
	return guard.New(guard.Options{Command: command, Env: env, Logger: r.log,
		Hello: func(m guard.Mark) ([]byte, error) {
			return json.Marshal(child.Hello{Version: child.Version, Guard: m})
		}})
}

func (r *Runtime) logLevel() slog.Level {
	for _, l := range []slog.Level{logs.LevelTrace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if r.log.Enabled(context.Background(), l) {
			return l
		}
	}
	return slog.LevelError
}

// TellLogLevel tells the child processes of our own types from which level on this process logs,
// where that has changed since they were started. It is for a system that is ready.
func (r *Runtime) TellLogLevel(ctx context.Context) {
	payload := strconv.AppendInt(nil, int64(r.logLevel()), 10)
	told := pool.New().WithMaxGoroutines(startsAtOnce)
	for _, d := range r.deployments.list() {
		if d.foreign() || d.here() || d.callee == nil {
			continue
		}
		for _, i := range d.callee.Shown.Instances() {
			told.Go(func() {
				if err := tell(ctx, i, child.TopicLog, payload); err != nil {
					r.log.Warn("an agent keeps its log level", "agent", d.name, "instance", i.ID, "error", err)
				}
			})
		}
	}
	told.Wait()
}

// childLog takes the lines that a child writes to standard error into our log, once, with the
// agent's name, and at their own level where it can be read from them. A traceback is one line; the
// same one again, as of a program that fails at each start, is told once a minute. ours: the child
// logs as this process does.
func (r *Runtime) childLog(name, instance string, ours bool) func([]byte) {
	log := r.log.With("agent", name, "instance", instance)
	stack, told := "", time.Time{}
	blocks := logs.NewBlocks(func(l logs.Line) { // one at a time
		for i, a := range l.Attrs {
			if ours {
				l.Attrs[i] = logs.Restored(a)
			}
			switch {
			case a.Key != "stack":
			case a.Value.String() == stack && time.Since(told) < time.Minute:
				l.Attrs[i].Value = slog.StringValue("as before")
			default:
				stack, told = a.Value.String(), time.Now()
			}
		}
		attrs := slices.DeleteFunc(l.Attrs, func(a slog.Attr) bool { return a.Key == "agent" || a.Key == "instance" })
		log.LogAttrs(context.Background(), l.Level, announced.Replace(l.Message), attrs...)
	})
	return func(line []byte) { blocks.Add(string(line)) }
}

// announced takes the readiness lines of children apart: whoever started us looks for ours among
// what we log.
var announced = strings.NewReplacer(mcp.SSEURL, "serves SSE at ", mcp.StdioReady, "is ready on stdio")

// askHealth asks the child process of an instance how it is.
func askHealth(ctx context.Context, i *route.Instance) error {
	return tell(ctx, i, child.TopicHealth, []byte(`{}`))
}

// tell sends an event of the runtime to the child process of an instance. One that is down, as its
// state shows, gets none.
func tell(ctx context.Context, i *route.Instance, topic string, payload json.RawMessage) error {
	s := i.Session()
	if s == nil {
		return nil
	}
	_, err := s.Call(ctx, &agent.Call{Op: agent.OpEvent, Name: topic, Input: payload, From: child.FromRuntime,
		Attempt: 1})
	return err
}

// childEvent takes an event of a child process: one to pass on, or what its Runner is doing.
func (r *Runtime) childEvent(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if c.Name == child.TopicRunner {
		var st child.RunnerStatus
		if err := json.Unmarshal(c.Input, &st); err != nil {
			return nil, agent.Refusedf(agent.CodeInvalidArgument, "the state of a Runner: %w", err)
		}
		if x := r.runners.remote(st.Instance); x != nil && x.agent == c.From.Agent && c.From.Trusted {
			r.runnerChanged(x, st)
		}
		return &agent.Result{}, nil
	}
	if err := r.events.Publish(ctx, delivery.Event(c)); err != nil { // the child has made its span
		return nil, err
	}
	return &agent.Result{}, nil
}
