package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/statedir"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// hostHere starts the instances of a Go struct in this process and offers them over the agent's
// communicator.
func (r *Runtime) hostHere(ctx, base context.Context, p planned) (*route.Callee, error) {
	hosts := route.NewPool(p.name, p.cfg.Replicas)
	for n, i := range hosts.Instances() {
		h, err := r.startAgent(ctx, p, i, n)
		if err != nil {
			return nil, err
		}
		i.Up(hostPeer{h})
	}
	served := &service{Pool: hosts, caller: r.tel.Server(r.hop(p.name, p.cfg.Communicator))(r.served(p, hosts))}
	comm := r.communicatorFor(p.cfg.Communicator)
	binding, err := comm.Serve(ctx, served)
	if err != nil {
		return nil, fmt.Errorf("agent %s: offer it over %s: %w", p.name, p.cfg.Communicator, err)
	}
	p.undo.Add("agent "+p.name+" over "+p.cfg.Communicator, binding.Close)
	if p.cfg.Communicator == project.OverLocal {
		peer, err := comm.Dial(ctx, p.name)
		if err != nil {
			return nil, err
		}
		return route.New(r.callee(p, peer, hosts)), nil // a function call is no session that could be lost
	}
	sessions := route.NewPool(p.name, 1)
	dial := func(ctx context.Context) (communicator.Peer, error) { return comm.Dial(ctx, p.name) }
	if err := r.openSession(ctx, base, p, sessions, 0, dial); err != nil {
		return nil, err
	}
	o := r.callee(p, sessions, hosts)
	o.Binding = binding
	if p.cfg.Communicator == project.OverPubSub {
		o.Alone = r.aloneWith(p.name)
	}
	return route.New(o), nil
}

// served logs what fails in an agent that is not called in process: there, the caller's log has it.
func (r *Runtime) served(p planned, hosts *route.Pool) agent.Caller {
	if p.cfg.Communicator == project.OverLocal {
		return hosts
	}
	return r.calls.Served(hosts.Info)(hosts)
}

func (r *Runtime) communicatorFor(over string) communicator.Communicator {
	switch over {
	case project.OverLocal:
		return r.local
	case project.OverPubSub:
		return r.broker
	}
	return r.private.hosted[over]
}

// service is a pool of hosts as a communicator serves it: what takes the calls stands before it.
type service struct {
	*route.Pool
	caller agent.Caller
}

func (s *service) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return s.caller.Call(ctx, c)
}

// hostPeer is a host as a session: nothing lies between, so nothing has to be closed.
type hostPeer struct{ *agent.Host }

func (hostPeer) Close(context.Context) error { return nil }

// startAgent makes, fills and starts one instance of a type.
func (r *Runtime) startAgent(ctx context.Context, p planned, i *route.Instance, n int) (*agent.Host, error) {
	env := r.env(p.name, n)
	env.Results = p.results
	a, err := p.instance(n, env)
	if err != nil {
		return nil, err
	}
	if err := r.startInTime(ctx, p, a); err != nil {
		return nil, err
	}
	i.Health = a.Health()
	p.undo.Add("agent "+env.Instance, func(ctx context.Context) error {
		if err := i.Stop(ctx); err != nil {
			return err
		}
		return a.Close(ctx)
	})
	if run := a.Runner(); run != nil && (n == 0 || p.cfg.Run == "all") {
		r.runners.add(p.name, env.Instance, run)
	}
	return a.Host, nil
}

// startInTime calls an agent's Start. One that goes on although its time is up, or the start is
// given up, is left behind: nobody can end it, and the process is about to end.
func (r *Runtime) startInTime(ctx context.Context, p planned, a *lifecycle.Instance) error {
	limit, id := r.cfg.StartTimeout(p.name), a.Env().Instance
	defer r.waits.begin(id, because("its Start has not returned"))()
	bounded, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("its Start did not return within %v (start.timeout)", limit))
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- a.Start(bounded) }()
	var err error
	select {
	case err = <-started:
	case <-bounded.Done():
		grace := time.NewTimer(share(r.cfg.Drain.Timeout, startShare))
		defer grace.Stop()
		select {
		case err = <-started:
		case <-grace.C:
			return fmt.Errorf("start agent %s: %w, and ignores that its context has ended", id, context.Cause(bounded))
		}
	}
	switch {
	case err == nil || bounded.Err() == nil:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", r.givenUp(ctx), err)
	}
	return fmt.Errorf("start agent %s: %w: %w", id, context.Cause(bounded), err)
}

// startShare is the part of the drain's time that a Start may take to notice that it is given up.
const startShare = 0.1

// env is what an instance in this process is lent.
func (r *Runtime) env(name string, n int) agent.Env {
	return agent.Env{Name: name, Instance: fmt.Sprintf("%s/%d", name, n), Logger: r.log.With("agent", name),
		Directory: r.dir, Publisher: r.publisher,
		StateDir: r.stateDir(name), Dir: r.cfg.Dir, Output: r.opts.Output}
}

// stateDir is the private folder of an agent.
func (r *Runtime) stateDir(name string) string { return filepath.Join(r.state, "agents", name) }

// makeStateDirs makes the folders of the agents of a type that live here.
func (r *Runtime) makeStateDirs(ctx context.Context) error {
	makers := concpool.New().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(startsAtOnce)
	for _, p := range r.hosted() {
		if p.kind != project.KindType {
			continue
		}
		makers.Go(func(context.Context) error {
			err := statedir.Make(r.state)
			if err == nil {
				err = os.MkdirAll(r.stateDir(p.name), 0o700)
			}
			if err != nil {
				return fmt.Errorf("agent %s: make its state folder: %w", p.name, err)
			}
			return nil
		})
	}
	return makers.Wait()
}
