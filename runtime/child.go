package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// tellTimeout bounds how long the parent may take to take news.
const tellTimeout = 10 * time.Second

// childDrain bounds what a child may take to stop once its parent closed its stdin.
const childDrain = 20 * time.Second

// ServeChild is the main of a child process: it reads who it is from in, starts that agent, and
// serves it over MCP on in and out until in ends. Logs go to errOut, and so do the agent's results,
// since out is the protocol's. The program must not write to out by itself.
func ServeChild(ctx context.Context, types agent.Types, in io.Reader, out, errOut io.Writer) error {
	h, in, err := readHello(in)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(errOut, &slog.HandlerOptions{Level: h.LogLevel}))
	tel, err := telemetry.Setup(ctx, telemetry.Config{Endpoint: h.Telemetry.Endpoint, Protocol: h.Telemetry.Protocol,
		ServiceName: h.Project, Project: h.Project, Instance: h.Instance, Logger: log})
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	dir := newRemote(h, tel, log)
	c := &child{hello: h, log: log, tel: tel, dir: dir, runNow: make(chan struct{})}
	err = c.serve(ctx, types, in, out, errOut)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), childDrain)
	defer cancel()
	return errors.Join(err, dir.close(end), tel.Shutdown(end))
}

type child struct {
	hello
	log    *slog.Logger
	tel    *telemetry.Telemetry
	dir    *remote
	host   *agent.Host
	health func(context.Context) error
	run    sync.Once
	runNow chan struct{}
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
		tasks.Go(func() { c.supervise(running, run) })
	}
	err = server.ServeStdio(ctx, c, in, out,
		server.Options{Logger: c.log, Version: c.Program, Limits: privateLimits(c.MCP), NoExpress: noExpress(c.MCP)},
		server.Identity{Name: selfName, Trusted: true})
	stop()
	tasks.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), childDrain)
	defer cancel()
	return errors.Join(err, i.Close(end))
}

// Info implements communicator.Service.
func (c *child) Info() agent.Info { return c.host.Info() }

// Call implements agent.Caller: the agent's calls behind the callee's side of telemetry, and the
// word that its Runner may begin.
func (c *child) Call(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if call.Op == agent.OpEvent && call.Name == topicHealth {
		if c.health != nil {
			if err := c.health(ctx); err != nil {
				return nil, err
			}
		}
		return &agent.Result{}, nil
	}
	if call.Op == agent.OpEvent && call.Name == topicRun {
		c.run.Do(func() { close(c.runNow) })
		return &agent.Result{}, nil
	}
	return c.tel.Server(telemetry.Hop{Communicator: project.OverStdio, Instance: c.Instance})(c.host).Call(ctx, call)
}

// supervise runs the agent's Runner once the parent says so, and tells the parent what becomes of
// it.
func (c *child) supervise(ctx context.Context, run func(context.Context) error) {
	select {
	case <-c.runNow:
	case <-ctx.Done():
		return
	}
	err := supervise.Loop(ctx, restartPolicy(c.Restart), c.Instance, c.log,
		c.tel.Runner(c.Agent, run), func(s supervise.Status) {
			if !s.State.Final() {
				if err := c.tell(ctx, State(s.State), s.Err); err != nil && ctx.Err() == nil {
					c.log.Warn("the parent did not take news of the Runner", "state", s.State, "error", err)
				}
			}
		})
	switch {
	case errors.Is(err, supervise.ErrGaveUp):
		c.tellEnd(ctx, StateFailed, err)
	case ctx.Err() == nil:
		c.tellEnd(ctx, StateDone, nil)
	}
}

// tellAgain are the waits between attempts to tell the parent the end of the Runner.
var tellAgain = backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second, Jitter: 0.2}

// tellEnd tells the parent that the Runner has ended until the parent has taken it, or stops this
// process: nothing else would ever say so, and a run may wait for it.
func (c *child) tellEnd(ctx context.Context, s State, why error) {
	err := supervise.Reconnect(ctx, tellAgain, func(ctx context.Context) error {
		return c.tell(ctx, s, why)
	}, func(n int, wait time.Duration, err error) {
		c.log.Warn("the parent did not take news of the Runner", "state", s, "attempt", n, "next",
			wait.Round(time.Millisecond), "error", err)
	})
	if err != nil {
		c.log.Debug("the parent stopped this process before it took news of the Runner", "state", s)
	}
}

func (c *child) tell(ctx context.Context, s State, why error) error {
	news := runnerNews{Instance: c.Instance, State: s}
	if why != nil {
		news.Error = why.Error()
	}
	payload, err := json.Marshal(news)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	_, err = c.dir.Call(ctx, &agent.Call{Op: agent.OpEvent, Agent: selfName, Name: topicRunner, Input: payload,
		From: agent.Identity{Agent: c.Agent, Instance: c.Instance, Trusted: true}, Attempt: 1})
	return err
}
