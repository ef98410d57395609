package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"time"

	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/startup"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// connect reaches agents in other processes: children of our own types, MCP server programs, MCP
// servers elsewhere.
func (r *Runtime) connect(ctx, base context.Context, p planned) (*route.Callee, error) {
	sessions := route.NewPool(p.name, max(p.cfg.Replicas, p.cfg.Sessions, 1))
	if p.kind != project.KindType {
		p.watched = &watched{}
		r.watched.Store(p.name, p.watched)
	}
	starts := concpool.New().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(startsAtOnce)
	for n, i := range sessions.Instances() {
		if p.healther {
			i.Health = func(ctx context.Context) error { return askHealth(ctx, i) }
		}
		target, err := r.target(p, i, n)
		if err != nil {
			return nil, err
		}
		opts := r.connectOptions()
		if p.kind != project.KindType {
			opts.Back = r.answers(p)
			opts.OnUpdated = func(uri string) { r.updated(base, p.name, uri) }
		}
		dial := func(ctx context.Context) (communicator.Peer, error) {
			s, err := client.Connect(ctx, target, opts)
			if err != nil {
				return nil, err
			}
			return narrow(s, p.cfg.AllowTools, r.log), nil
		}
		starts.Go(func(ctx context.Context) error { return r.keep(ctx, base, p, sessions, n, dial) })
		if p.runner && (n == 0 || p.cfg.Run == "all") {
			r.runners.add(p.name, i.ID, nil)
		}
	}
	if err := starts.Wait(); err != nil {
		return nil, err
	}
	return route.New(r.callee(p, sessions, sessions)), nil
}

// target says how to reach one instance of an agent.
func (r *Runtime) target(p planned, i *route.Instance, n int) (client.Target, error) {
	t := client.Target{Name: p.name, Transport: transports[p.cfg.Communicator], URL: p.cfg.URL,
		Protocol: p.cfg.Protocol,
		Headers:  p.cfg.Headers, Env: maps.Clone(p.cfg.Env)}
	if t.Env == nil {
		t.Env = map[string]string{}
	}
	t.Dir = r.cfg.ChildDir(p.name)
	if p.kind == project.KindURL {
		if t.Headers = maps.Clone(p.cfg.Headers); p.cfg.Token != "" {
			if t.Headers == nil {
				t.Headers = map[string]string{}
			}
			t.Headers["Authorization"] = "Bearer " + p.cfg.Token
		}
		t.TLS = p.tls
		return t, authorize(&t, p.cfg.OAuth)
	}
	t.Stderr = r.childLog(p.name, i.ID)
	if p.kind == project.KindCommand {
		t.Command = r.cfg.ChildCommand(p.name)
		t.Env["OPENMAS_URL"], t.Env["OPENMAS_TOKEN"] = r.private.url,
			r.private.tokens.issue(server.Identity{Name: p.name, Itself: true})
		return t, nil
	}
	token := r.private.tokens.issue(server.Identity{Name: p.name, Trusted: true, Itself: true})
	t.Trusted = true
	t.Command = r.opts.Child
	if len(t.Command) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return t, fmt.Errorf("agent %s: find the program to run in a child process: %w", p.name, err)
		}
		t.Command = []string{exe}
	}
	maps.Copy(t.Env, telemetryVars())
	maps.Copy(t.Env, r.opts.ChildEnv)
	t.Env[ChildVar] = "1"
	h := hello{Version: helloVersion, Project: r.cfg.Project, Agent: p.name, Instance: i.ID, Type: p.cfg.Type,
		Config: p.cfg.Config, StateDir: r.stateDir(p.name), Dir: r.cfg.Dir, Broker: r.brokerSystem(),
		URL: r.private.url, Token: token, Timeout: r.longestTimeout(), Run: p.runner && (n == 0 || p.cfg.Run == "all"),
		Restart:   r.cfg.Restart,
		Telemetry: r.cfg.Telemetry, LogLevel: r.logLevel(), Program: r.opts.Version, MCP: r.cfg.MCP}
	var err error
	if t.Hello, err = json.Marshal(h); err != nil {
		return t, fmt.Errorf("agent %s: encode its config for a child process: %w", p.name, err)
	}
	return t, nil
}

var transports = map[string]mcp.Transport{project.OverStdio: mcp.Stdio, project.OverSSE: mcp.SSE,
	project.OverHTTP: mcp.Streamable}

func (r *Runtime) connectOptions() client.Options {
	return client.Options{Logger: r.log, HandshakeTimeout: r.cfg.Connect.Timeout, MaxFrame: int(r.cfg.MCP.MaxFrame),
		MaxBody:    int(r.cfg.MCP.MaxBody),
		StdinGrace: r.cfg.Child.StdinWait, TermGrace: r.cfg.Child.TermWait, OnChanged: func(agent.Info) {
			r.refresh()
		}, NoExpress: noExpress(r.cfg.MCP)}
}

func (r *Runtime) logLevel() slog.Level {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if r.log.Enabled(context.Background(), l) {
			return l
		}
	}
	return slog.LevelError
}

// longestTimeout is of all policies: a child cannot know the one of each callee, which its parent
// applies.
func (r *Runtime) longestTimeout() time.Duration {
	longest := r.cfg.Defaults.Timeout
	for name, a := range r.cfg.Agents {
		longest = max(longest, r.cfg.PolicyFor(name, "").Timeout)
		for tool := range a.Tools {
			longest = max(longest, r.cfg.PolicyFor(name, tool).Timeout)
		}
	}
	return longest
}

// telemetryVars are the standard variables of OpenTelemetry in our environment: our own children
// export as we do.
func telemetryVars() map[string]string {
	vars := map[string]string{}
	for _, kv := range os.Environ() {
		if key, value, _ := strings.Cut(kv, "="); strings.HasPrefix(key, "OTEL_") {
			vars[key] = value
		}
	}
	return vars
}

// childLog takes the lines that a child writes to standard error into our log, once, with the
// agent's name: those of our own children, and of any program that logs as slog's JSON handler
// does, at their own level.
func (r *Runtime) childLog(name, instance string) func([]byte) {
	log := r.log.With("agent", name, "instance", instance)
	return func(line []byte) {
		if len(bytes.TrimSpace(line)) == 0 {
			return
		}
		var rec map[string]any
		if line[0] == '{' && json.Unmarshal(line, &rec) == nil {
			var level slog.Level
			msg, ok := rec["msg"].(string)
			word, _ := rec["level"].(string)
			if ok && level.UnmarshalText([]byte(word)) == nil {
				for _, k := range []string{"msg", "level", "time", "agent", "instance"} {
					delete(rec, k)
				}
				attrs := make([]slog.Attr, 0, len(rec))
				for k, v := range rec {
					attrs = append(attrs, slog.Any(k, v))
				}
				log.LogAttrs(context.Background(), level, msg, attrs...)
				return
			}
		}
		log.Info(announced.Replace(string(line)))
	}
}

// announced takes the readiness lines of children apart: whoever started us looks for ours among
// what we log.
var announced = strings.NewReplacer(startup.SSEURL, "serves SSE at ", startup.StdioReady, "is ready on stdio")
