package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// hostHere starts the instances of a Go struct in this process and offers them over the agent's
// communicator.
func (r *Runtime) hostHere(ctx, base context.Context, p planned) (*callee, error) {
	hosts := &pool{name: p.name}
	for n := range p.cfg.Replicas {
		i := newInstance(p.name, n)
		hosts.instances = append(hosts.instances, i)
		h, err := r.startAgent(ctx, p, i, n)
		if err != nil {
			return nil, err
		}
		i.up(hostPeer{h})
	}
	served := &service{pool: hosts, caller: r.tel.Server(r.hop(p.cfg.Communicator, ""))(hosts)}
	if p.cfg.Communicator == OverLocal {
		return r.callee(p, served, hosts), nil
	}
	comm := r.communicatorFor(p.cfg.Communicator)
	binding, err := comm.Serve(ctx, served)
	if err != nil {
		return nil, fmt.Errorf("agent %s: offer it over %s: %w", p.name, p.cfg.Communicator, err)
	}
	p.undo.add("agent "+p.name+" over "+p.cfg.Communicator, binding.Close)
	route := &pool{name: p.name, instances: []*instance{newInstance(p.name, 0)}}
	dial := func(ctx context.Context) (communicator.Peer, error) { return comm.Dial(ctx, p.name) }
	if err := r.keep(ctx, base, p, route, 0, dial); err != nil {
		return nil, err
	}
	c := r.callee(p, route, hosts)
	c.binding = binding
	return c, nil
}

func (r *Runtime) communicatorFor(over string) communicator.Communicator {
	if over == OverPubSub {
		return r.broker
	}
	return r.private.hosted[over]
}

// service is a pool of hosts behind the callee's side of telemetry.
type service struct {
	*pool
	caller agent.Caller
}

func (s *service) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return s.caller.Call(ctx, c)
}

// hostPeer is a host as a session: nothing lies between, so nothing has to be closed.
type hostPeer struct{ *agent.Host }

func (hostPeer) Close(context.Context) error { return nil }

// startAgent makes, fills and starts one instance of a type.
func (r *Runtime) startAgent(ctx context.Context, p planned, i *instance, n int) (*agent.Host, error) {
	env, err := r.env(p.name, n)
	if err != nil {
		return nil, err
	}
	a, err := p.make()
	if err != nil {
		return nil, err
	}
	h, _, err := hostOf(a, env)
	if err != nil {
		return nil, err
	}
	if err := startOne(ctx, a, env); err != nil {
		return nil, err
	}
	i.health = healthOf(a, env)
	p.undo.add("agent "+env.Instance, func(ctx context.Context) error {
		if err := i.stop(ctx); err != nil {
			return err
		}
		return closeOne(ctx, a, env)
	})
	if runner, ok := a.(agent.Runner); ok && (n == 0 || p.cfg.Run == "all") {
		r.runners.add(p.name, env.Instance, func(ctx context.Context) error {
			return runner.Run(agent.WithEnv(ctx, env))
		})
	}
	return h, nil
}

// env is what an instance in this process is lent.
func (r *Runtime) env(name string, n int) (agent.Env, error) {
	state, err := stateDir(r.cfg, name)
	if err != nil {
		return agent.Env{}, err
	}
	return agent.Env{Name: name, Instance: fmt.Sprintf("%s/%d", name, n), Logger: r.log.With("agent", name),
		Directory: r.dir, Publisher: r.publisher,
		StateDir: state, Dir: r.cfg.Dir, Output: r.opts.Output}, nil
}

// stateDir makes the private folder of an agent.
func stateDir(cfg *Config, name string) (string, error) {
	dir := filepath.Join(cfg.StateDir(), "agents", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("agent %s: make its state folder: %w", name, err)
	}
	return dir, nil
}

// startOne calls an agent's Start, if it has one. A panic is an error.
func startOne(ctx context.Context, a agent.Agent, env agent.Env) (err error) {
	s, ok := a.(agent.Starter)
	if !ok {
		return nil
	}
	defer recovered(&err, env.Logger, "Start of "+env.Instance)
	if err := s.Start(agent.WithEnv(ctx, env), env); err != nil {
		return fmt.Errorf("start agent %s: %w", env.Instance, err)
	}
	return nil
}

func closeOne(ctx context.Context, a agent.Agent, env agent.Env) (err error) {
	c, ok := a.(agent.Closer)
	if !ok {
		return nil
	}
	defer recovered(&err, env.Logger, "Close of "+env.Instance)
	return c.Close(agent.WithEnv(ctx, env))
}

// recovered turns a panic of an agent's code into an error, with the stack in the log.
func recovered(err *error, log *slog.Logger, what string) {
	if p := recover(); p != nil {
		log.Error("panic", "in", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = fmt.Errorf("%s panicked: %v", what, p)
	}
}
