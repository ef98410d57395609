// Package lifecycle is how agents start and end, the same wherever they run: in the runtime, in a
// child process of it, and in agenttest.
package lifecycle

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/stack"
)

// An Instance is one copy of an agent in this process. A panic of the agent's code is an error of
// its methods, with the stack in the agent's log.
type Instance struct {
	// Host makes it callable.
	Host *agent.Host

	agent agent.Agent
	caps  agent.Capabilities
	env   agent.Env
}

// New asks an agent for its capabilities and makes them callable as the agent of env. It starts
// nothing. An agent with a method that is meant to be called and never would be is an error.
func New(a agent.Agent, env agent.Env) (*Instance, error) {
	if err := neverCalled(a); err != nil {
		return nil, err
	}
	caps, err := capabilities(a, env)
	if err != nil {
		return nil, err
	}
	i := &Instance{agent: a, caps: caps}
	if err := i.Lend(env); err != nil {
		return nil, err
	}
	return i, nil
}

func capabilities(a agent.Agent, env agent.Env) (caps agent.Capabilities, err error) {
	defer Recover(&err, loggerOf(env), "Capabilities of "+env.Name)
	return a.Capabilities(), nil
}

// Lend gives the agent another env, of the same name, before it is started.
func (i *Instance) Lend(env agent.Env) error {
	env.Logger = loggerOf(env)
	h, err := agent.NewHost(env, i.caps)
	if err != nil {
		return err
	}
	i.Host, i.env = h, h.Env()
	return nil
}

func loggerOf(env agent.Env) *slog.Logger {
	if env.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return env.Logger
}

// Requires is what the agent needs elsewhere in the system.
func (i *Instance) Requires() []agent.Requirement { return i.caps.Requires }

// Env is what the agent is lent.
func (i *Instance) Env() agent.Env { return i.env }

// Start calls the agent's Start, if it has one.
func (i *Instance) Start(ctx context.Context) (err error) {
	s, ok := i.agent.(agent.Starter)
	if !ok {
		return nil
	}
	defer Recover(&err, i.env.Logger, "Start of "+i.env.Instance)
	if err := s.Start(agent.WithEnv(ctx, i.env), i.env); err != nil {
		return fmt.Errorf("start agent %s: %w", i.env.Instance, err)
	}
	return nil
}

// Close calls the agent's Close, if it has one. It is for an instance whose Start succeeded and
// whose last call has ended.
func (i *Instance) Close(ctx context.Context) (err error) {
	c, ok := i.agent.(agent.Closer)
	if !ok {
		return nil
	}
	defer Recover(&err, i.env.Logger, "Close of "+i.env.Instance)
	return c.Close(agent.WithEnv(ctx, i.env))
}

// Runner is the agent's work of its own; nil when it has none. Whoever calls it supervises it:
// panics come through.
func (i *Instance) Runner() func(context.Context) error {
	r, ok := i.agent.(agent.Runner)
	if !ok {
		return nil
	}
	return func(ctx context.Context) error { return r.Run(agent.WithEnv(ctx, i.env)) }
}

// Health is how the agent is asked whether it works; nil when it has nothing to say.
func (i *Instance) Health() func(context.Context) error {
	h, ok := i.agent.(agent.Healther)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (err error) {
		defer Recover(&err, i.env.Logger, "Health of "+i.env.Instance)
		return h.Health(agent.WithEnv(ctx, i.env))
	}
}

// Recover is deferred around the code of an agent: a panic becomes an error in err, with the stack
// in the log. what names the code.
func Recover(err *error, log *slog.Logger, what string) {
	if p := recover(); p != nil {
		log.Error("panic", "in", what, "panic", fmt.Sprint(p), "stack", stack.OfPanic())
		*err = fmt.Errorf("%s panicked: %v", what, p)
	}
}
