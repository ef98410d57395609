package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/statedir"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/waits"
	"github.com/openmas/openmas/runtime/project"
)

// hostHere starts the instances of a Go struct in this process and offers them over the agent's
// communicator.
func (r *Runtime) hostHere(ctx, base context.Context, d *deployment) (*route.Callee, error) {
	p := d.planned
	hosts := route.NewPool(p.name, p.cfg.Replicas)
	for n, i := range hosts.Instances() {
		h := &host{r: r, d: d, agent: p, pool: hosts, instance: i, n: n}
		if err := h.start(ctx); err != nil {
			return nil, err
		}
		d.undo.Add("agent "+i.ID, h.close)
		d.units = append(d.units, h)
	}
	r.limitHosts(p, hosts)
	served := &service{Pool: hosts, caller: r.tel.Server(r.hop(p.name, p.cfg.Communicator))(r.served(p, hosts))}
	if p.cfg.Communicator == project.OverPubSub {
		served.bounds = r.boundsOf(p)
	}
	comm, err := r.communicatorFor(d)
	if err != nil {
		return nil, err
	}
	binding, err := comm.Serve(ctx, served)
	if err != nil {
		return nil, fmt.Errorf("agent %s: offer it over %s: %w", p.name, p.cfg.Communicator, err)
	}
	d.undo.Add("agent "+p.name+" over "+p.cfg.Communicator, binding.Close)
	if p.cfg.Communicator == project.OverLocal {
		peer, err := comm.Dial(ctx, p.name)
		if err != nil {
			return nil, err
		}
		return route.New(r.callee(p, peer, hosts)), nil // a function call is no session that could be lost
	}
	sessions := route.NewPool(p.name, 1)
	r.limitSessions(p, sessions)
	dial := func(ctx context.Context) (communicator.Peer, error) { return comm.Dial(ctx, p.name) }
	if _, err := r.openSession(ctx, base, d, sessions, 0, dial); err != nil {
		return nil, err
	}
	o := r.callee(p, sessions, hosts)
	o.Binding, o.Service = binding, served
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

// communicatorFor returns what an agent of this process is offered over. But for the broker it is
// its own, so that another agent of its name can be up beside it.
func (r *Runtime) communicatorFor(d *deployment) (communicator.Communicator, error) {
	switch d.cfg.Communicator {
	case project.OverLocal:
		return communicator.NewLocal(), nil
	case project.OverPubSub:
		return r.lasting, nil
	}
	c, err := r.hostOverHTTP(d.planned)
	if err == nil {
		d.undo.Add("agent "+d.name+" over "+d.cfg.Communicator, c.Close)
	}
	return c, err
}

// service is a pool of hosts as a communicator serves it: what takes the calls stands before it.
type service struct {
	*route.Pool
	caller agent.Caller
	bounds communicator.Bounds
}

func (s *service) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return s.caller.Call(ctx, c)
}

// Bounds implements [communicator.Bounded].
func (s *service) Bounds() communicator.Bounds { return s.bounds }

// hostPeer is a host as a session: nothing lies between, so nothing has to be closed.
type hostPeer struct{ *agent.Host }

func (hostPeer) Close(context.Context) error { return nil }

// A host is one instance of a type in this process.
type host struct {
	r        *Runtime
	d        *deployment
	agent    planned
	pool     *route.Pool
	instance *route.Instance
	n        int
	runner   *runner // nil: it has no Runner that is to run

	mu   sync.Mutex // one order at a time
	over bool       // it was taken back
	// current is the copy that runs; nil: none does.
	current atomic.Pointer[lifecycle.Instance]
}

// start makes, fills and starts a copy of the type.
func (h *host) start(ctx context.Context) error {
	env := h.r.env(h.agent.name, h.n)
	env.Results = h.agent.results
	a, err := h.agent.instance(h.n, env)
	if err != nil {
		return err
	}
	if err := h.r.startInTime(ctx, h.agent, a); err != nil {
		return err
	}
	if h.current.Store(a); h.instance.Health == nil && a.Health() != nil {
		h.instance.Health = h.health
	}
	h.pool.Learn(a.Host.Info())
	switch run := a.Runner(); {
	case h.runner != nil:
		h.runner.run = run
	case run != nil && (h.n == 0 || h.agent.cfg.Run == "all"):
		h.runner = newRunner(h.agent.name, env.Instance, run)
		h.d.addRunner(&h.r.runners, h.runner)
	}
	h.instance.Up(hostPeer{a.Host})
	return nil
}

// health asks the copy that runs; one that was stopped has nothing to say.
func (h *host) health(ctx context.Context) error {
	if a := h.current.Load(); a != nil {
		return a.Health()(ctx)
	}
	return nil
}

// close takes the instance back, once its calls have ended.
func (h *host) close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	err := h.instance.Stop(ctx)
	if h.runner != nil { // else nobody but a reload ends it before its agent is closed
		err = errors.Join(err, h.runner.stop(ctx))
	}
	if err != nil {
		return err
	}
	return h.closeCopy(ctx)
}

func (h *host) closeCopy(ctx context.Context) error {
	if a := h.current.Swap(nil); a != nil {
		return a.Close(ctx)
	}
	return nil
}

// halt implements [unit]. What does not end in time is left behind: nobody can end it.
func (h *host) halt(ctx context.Context, as route.State, why error) (cut error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cut = h.instance.Hold(ctx, as, why)
	if h.runner != nil {
		cut = errors.Join(cut, h.runner.stop(ctx))
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.r.drainTimeout())
	defer cancel()
	cut = errors.Join(cut, h.closeCopy(closing))
	h.instance.DownFor(0, halted(as), why)
	return cut
}

// begin implements [unit].
func (h *host) begin(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return errEnding
	}
	h.instance.Begin()
	if err := h.start(ctx); err != nil {
		h.instance.Down(route.Failed, err)
		return err
	}
	if h.runner != nil {
		h.r.startRunner(h.agent, h.runner)
	}
	return nil
}

// startInTime calls an agent's Start. One that goes on although its time is up, or the start is
// given up, is left behind: nobody can end it, and the process is about to end.
func (r *Runtime) startInTime(ctx context.Context, p planned, a *lifecycle.Instance) error {
	limit, id := p.of.StartTimeout(p.name), a.Env().Instance
	defer r.waits.Begin(id, waits.Because("its Start has not returned"), limit, "start.timeout")()
	bounded, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("its Start did not return within %v (start.timeout)", limit))
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- a.Start(bounded) }()
	var err error
	select {
	case err = <-started:
	case <-bounded.Done():
		grace := time.NewTimer(share(r.drainTimeout(), startShare))
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
		return fmt.Errorf("%w: %w", r.givenUp(ctx, ""), err)
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

// makeStateDirs makes the folders of the agents of a type that live here.
func (r *Runtime) makeStateDirs(ctx context.Context) error {
	makers := concpool.New().WithContext(ctx).WithCancelOnError().WithFirstError().WithMaxGoroutines(startsAtOnce)
	for _, p := range r.hosted() {
		if p.kind != project.KindType {
			continue
		}
		makers.Go(func(context.Context) error { return r.makeStateDir(p.name) })
	}
	return makers.Wait()
}

func (r *Runtime) makeStateDir(name string) error {
	err := statedir.Make(r.state)
	if err == nil {
		err = os.MkdirAll(r.stateDir(name), 0o700)
	}
	if err != nil {
		return fmt.Errorf("agent %s: make its state folder: %w", name, err)
	}
	return nil
}
