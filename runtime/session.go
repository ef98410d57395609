package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/project"
)

// A dial makes one session to one instance of an agent: a connection, or a child process.
type dial func(ctx context.Context) (communicator.Peer, error)

// ended is what a session that can die on its own tells.
type ended interface {
	Done() <-chan struct{}
	Err() error
}

// keep connects an instance and keeps it connected until it is taken back. A first dial that fails
// fails the start, except to a server that runs elsewhere: that one may come later.
func (r *Runtime) keep(ctx, base context.Context, p planned, sessions *route.Pool, n int, d dial) error {
	i := sessions.Instances()[n]
	peer, err := d(ctx)
	switch {
	case err == nil:
		r.rise(ctx, p, sessions, i, peer)
	case p.kind == project.KindURL && ctx.Err() == nil:
		i.Down(route.Restarting, err)
		r.log.Warn("agent cannot be reached, trying on", "agent", p.name, "error", err)
	default:
		return fmt.Errorf("agent %s: %w", i.ID, err)
	}
	ctx, cancel := context.WithCancel(base)
	over := make(chan struct{})
	r.tasks.Go(func() {
		defer close(over)
		r.keepAlive(ctx, p, sessions, i, peer, d)
	})
	p.undo.Add("session to "+i.ID, func(closeCtx context.Context) error {
		err := i.Stop(closeCtx)
		cancel()
		<-over
		return err
	})
	return nil
}

// rise puts a fresh session to work.
func (r *Runtime) rise(ctx context.Context, p planned, sessions *route.Pool, i *route.Instance,
	peer communicator.Peer) {
	sessions.Learn(peer.Info())
	i.Up(peer)
	r.refresh()
	if p.watched != nil && i == sessions.Instances()[0] {
		r.rewatch(ctx, p.watched, peer)
	}
}

// keepAlive lives as long as the instance. peer is its first session, or nil.
func (r *Runtime) keepAlive(ctx context.Context, p planned, sessions *route.Pool, i *route.Instance,
	peer communicator.Peer, d dial) {
	redial := func(ctx context.Context) error {
		if r.draining() {
			<-ctx.Done() // nothing is started again; this ends when the agent's turn to stop comes
			return ctx.Err()
		}
		fresh, err := d(ctx)
		if err != nil {
			return err
		}
		peer = fresh
		r.rise(ctx, p, sessions, i, peer)
		r.log.Info("agent is back", "agent", p.name, "instance", i.ID)
		r.resume(ctx, i, peer)
		return nil
	}
	if !p.cfg.Child() {
		r.keepReconnecting(ctx, p, i, &peer, redial)
		return
	}
	life := func(ctx context.Context) error {
		if peer == nil {
			if err := redial(ctx); err != nil {
				return err
			}
		}
		err := r.await(ctx, i, peer)
		peer = nil
		if r.draining() {
			return nil // what has ended is not started again
		}
		return err
	}
	err := supervise.Loop(ctx, restartPolicy(r.cfg.Restart), i.ID, r.log, life, func(s supervise.Status) {
		i.SetRestarts(s.Restarts)
		if s.State == supervise.Restarting || s.State == supervise.Backoff {
			i.Down(route.State(s.State), s.Err)
		}
	})
	if errors.Is(err, supervise.ErrGaveUp) {
		i.Down(route.Failed, err)
		if x := r.runners.remote(i.ID); x != nil {
			x.finish(StateFailed, err)
		}
		r.failed(p, err)
	}
}

// reconnectJitter spreads the processes that lost the same server.
const reconnectJitter = 0.2

// keepReconnecting is for agents that live elsewhere, or here behind an endpoint: there is nothing
// to restart, so it never gives up.
func (r *Runtime) keepReconnecting(ctx context.Context, p planned, i *route.Instance, peer *communicator.Peer,
	redial func(context.Context) error) {
	rc := r.cfg.Reconnect
	waits := backoff.Policy{Initial: rc.Initial, Multiplier: rc.Multiplier, Max: rc.Max, Jitter: reconnectJitter}
	for {
		if *peer == nil {
			err := supervise.Reconnect(ctx, waits, redial, func(n int, wait time.Duration, err error) {
				i.Down(route.Restarting, err)
				r.log.Warn("agent cannot be reached", "agent", p.name, "attempt", n, "next",
					wait.Round(time.Millisecond), "error", err)
			})
			if err != nil {
				return
			}
		}
		err := r.await(ctx, i, *peer)
		*peer = nil
		if ctx.Err() != nil || r.draining() {
			return
		}
		i.Restarted()
		i.Down(route.Restarting, err)
		r.log.Warn("session lost", "agent", p.name, "error", err)
	}
}

// await returns when the session has ended and was released, child process included, and says why;
// nil when ctx ended it. Releasing takes its time, which the instance's state does not wait for.
func (r *Runtime) await(ctx context.Context, i *route.Instance, peer communicator.Peer) error {
	err := awaitEnd(ctx, peer)
	switch {
	case err != nil && r.draining():
		i.Down(route.Stopped, err) // nothing is started again
	case err != nil:
		i.Down(route.Restarting, err)
	}
	r.closeSession(ctx, i, peer)
	return err
}

// awaitEnd returns why the session ended; nil when ctx ended it.
func awaitEnd(ctx context.Context, peer communicator.Peer) error {
	e, ok := peer.(ended)
	if !ok {
		<-ctx.Done()
		return nil
	}
	select {
	case <-e.Done():
		return fmt.Errorf("session ended: %w", e.Err())
	case <-ctx.Done():
		return nil
	}
}

// closeSession releases a session that has ended or is no longer wanted, its child process
// included.
func (r *Runtime) closeSession(ctx context.Context, i *route.Instance, peer communicator.Peer) {
	i.Release()
	c := r.cfg.Child
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StdinWait+c.TermWait+5*time.Second)
	defer cancel()
	if err := peer.Close(ctx); err != nil {
		r.log.Debug("closing a session", "instance", i.ID, "error", err)
	}
}

func restartPolicy(c project.Restart) supervise.Policy {
	p := supervise.DefaultPolicy()
	p.Restarts, p.Within, p.Backoff, p.GiveUpAfter = c.Limit, c.Window, c.Backoff, c.GiveUpAfter
	return p
}

// failed is called when an agent was given up.
func (r *Runtime) failed(p planned, err error) {
	r.log.Error("agent has failed for good", "agent", p.name, "critical", p.cfg.Critical, "error", err)
	if p.cfg.Critical {
		select {
		case r.fatal <- fmt.Errorf("critical agent %s: %w", p.name, err):
		default: // one is enough to end the run
		}
	}
}
