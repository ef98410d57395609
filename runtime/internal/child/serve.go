package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/guard"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// drain bounds what a child may take to stop once its parent closed its stdin.
const drain = 20 * time.Second

// Serve is the main of a child process: see runtime.ServeChild.
func Serve(ctx context.Context, types agent.Types, in io.Reader, out, errOut io.Writer) error {
	h, in, err := ReadHello(in)
	if err != nil {
		return err
	}
	if h.Guard != "" {
		return guard.Serve(h.Guard, in)
	}
	if len(h.Describe) > 0 {
		return describe(types, h.Describe, out)
	}
	var level slog.LevelVar
	level.Set(h.LogLevel)
	log := slog.New(logs.WithContext(logs.NewJSON(errOut, &level), telemetry.IDs))
	tel, err := telemetry.Setup(ctx, telemetry.Config{Endpoint: h.Telemetry.Endpoint, Protocol: h.Telemetry.Protocol,
		PerProcess: h.Telemetry.Service == project.ServicePerProcess, Content: h.Telemetry.Content,
		Headers: h.ExportHeaders,
		State:   h.State, Recent: int64(h.Telemetry.Recent),
		ServiceName: h.Agent, Project: h.Project, Process: fmt.Sprintf("%s/%d", h.Process, os.Getpid()),
		Version: h.Program, Mask: project.Redactor(h.Secrets), Logger: log})
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	made := calls.NewLog(log)
	dir := newDirectory(h, tel, made, log)
	c := &child{Hello: h, log: log, level: &level, calls: made, tel: tel, dir: dir,
		runner: runner{Hello: &h, log: log, tel: tel, dir: dir, now: make(chan struct{})}}
	err = c.serve(ctx, types, in, out, errOut)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err = errors.Join(err, dir.close(end), made.Close(end))
	telemetry.End(end, log, tel.Shutdown)
	return err
}

type child struct {
	Hello
	log    *slog.Logger
	level  *slog.LevelVar
	calls  *calls.Log
	tel    *telemetry.Telemetry
	dir    *directory
	host   *agent.Host
	health func(context.Context) error
	runner runner
}

func (c *child) serve(ctx context.Context, types agent.Types, in io.Reader, out, results io.Writer) error {
	construct, ok := types[c.Type]
	if !ok {
		return fmt.Errorf("this program has no type %q", c.Type)
	}
	a := construct()
	if err := project.Fill(a, c.Config); err != nil {
		return fmt.Errorf("agent %s: config: %w", c.Agent, err)
	}
	env := agent.Env{Name: c.Agent, Instance: c.Instance, Logger: c.log, Directory: c.dir,
		Publisher: c.tel.Publisher(c.Broker, c.dir), StateDir: c.StateDir, Dir: c.Dir, Output: results}
	i, err := lifecycle.New(a, env)
	if err != nil {
		return err
	}
	c.host, c.health = i.Host, i.Health()
	if err := i.Start(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var tasks conc.WaitGroup
	if run := i.Runner(); run != nil && c.Run {
		tasks.Go(func() { c.runner.supervise(running, run) })
	}
	err = server.ServeStdio(ctx, c, in, out,
		server.Options{Logger: c.log, Version: c.Program, Limits: c.Limits, NoFastPath: c.NoFastPath,
			Describe: c.tel.Wants()},
		server.Identity{Identity: FromRuntime, Relays: true})
	stop()
	tasks.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	return errors.Join(err, i.Close(end))
}

// Info implements communicator.Service.
func (c *child) Info() agent.Info { return c.host.Info() }

// Call implements agent.Caller: the agent's calls behind the callee's side of telemetry, and the
// start of its Runner.
func (c *child) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if call.Op == agent.OpEvent && call.Name == TopicHealth {
		if c.health != nil {
			if err := c.health(ctx); err != nil {
				return nil, err
			}
		}
		return &agent.Result{}, nil
	}
	if call.Op == agent.OpEvent && call.Name == TopicLog {
		var level slog.Level
		if err := json.Unmarshal(call.Input, (*int)(&level)); err != nil {
			return nil, agent.Refusedf(agent.CodeInvalidArgument, "a log level: %w", err)
		}
		c.level.Set(level)
		return &agent.Result{}, nil
	}
	if call.Op == agent.OpEvent && call.Name == TopicRun {
		c.runner.start()
		return &agent.Result{}, nil
	}
	served := c.tel.Server(telemetry.Hop{Communicator: project.OverStdio, Instance: c.Instance})
	return served(c.calls.Served(c.Info)(c.host)).Call(ctx, call)
}
