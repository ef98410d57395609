package runtime

import (
	"context"
	"fmt"
	"time"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// A dial makes one session to one instance of an agent: a connection, or a child process.
type dial func(ctx context.Context) (communicator.Peer, error)

// A mortal session can end by itself.
type mortal interface {
	Done() <-chan struct{}
	Err() error
}

// A session leads to one instance of an agent, and is made anew whenever it ends: see restart and
// reconnect.
type session struct {
	r        *Runtime
	agent    planned
	pool     *route.Pool
	instance *route.Instance
	dial     dial
	peer     communicator.Peer // nil while there is none
}

// openSession connects instance n of a pool, and keeps it connected until it is taken back. A first
// dial that fails fails the start, except to a server that runs elsewhere: that one may come later.
func (r *Runtime) openSession(ctx, base context.Context, p planned, pool *route.Pool, n int, d dial) error {
	s := &session{r: r, agent: p, pool: pool, instance: pool.Instances()[n], dial: d}
	peer, err := d(ctx)
	switch {
	case err == nil:
		s.up(ctx, peer)
	case p.kind == project.KindURL && ctx.Err() == nil:
		s.instance.Down(route.Restarting, err)
		r.log.Warn("agent cannot be reached, trying on", "agent", p.name, "error", err)
	default:
		return fmt.Errorf("agent %s: %w", s.instance.ID, err)
	}
	ctx, cancel := context.WithCancel(base)
	over := make(chan struct{})
	r.tasks.Go(func() {
		defer close(over)
		if p.cfg.Child() {
			s.restart(ctx)
		} else {
			s.reconnect(ctx)
		}
	})
	p.undo.Add("session to "+s.instance.ID, func(closeCtx context.Context) error {
		err := s.instance.Stop(closeCtx)
		cancel()
		<-over
		return err
	})
	return nil
}

// up puts a fresh session to work.
func (s *session) up(ctx context.Context, peer communicator.Peer) {
	s.peer = peer
	s.pool.Learn(peer.Info())
	s.instance.Up(peer)
	s.r.refresh()
	if subs := s.agent.subscriptions; subs != nil && s.instance == s.pool.Instances()[0] {
		subs.moveTo(ctx, peer, s.r.log)
	}
}

// redial makes the session anew. While the system drains, nothing is started again: it returns when
// the agent's turn to stop comes.
func (s *session) redial(ctx context.Context) error {
	if s.r.draining() {
		<-ctx.Done()
		return ctx.Err()
	}
	peer, err := s.dial(ctx)
	if err != nil {
		return err
	}
	s.up(ctx, peer)
	s.r.log.Info("agent is back", "agent", s.agent.name, "instance", s.instance.ID)
	s.r.resume(ctx, s.instance, peer)
	return nil
}

// await returns when the session has ended and was released, child process included, and returns
// why; nil when ctx ended it. Releasing takes its time, which the instance's state does not wait
// for.
func (s *session) await(ctx context.Context) error {
	err := s.ended(ctx)
	switch {
	case err != nil && s.r.draining():
		s.instance.Down(route.Stopped, err) // nothing is started again
	case err != nil:
		s.instance.Down(route.Restarting, err)
	}
	s.release(ctx)
	return err
}

// ended waits for the end and returns why; nil when ctx ended it.
func (s *session) ended(ctx context.Context) error {
	m, ok := s.peer.(mortal)
	if !ok {
		<-ctx.Done()
		return nil
	}
	select {
	case <-m.Done():
		return fmt.Errorf("session ended: %w", m.Err())
	case <-ctx.Done():
		return nil
	}
}

// release closes what has ended or is no longer wanted, its child process included.
func (s *session) release(ctx context.Context) {
	s.instance.Release()
	c := s.r.cfg.Child
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StdinWait+c.TermWait+5*time.Second)
	defer cancel()
	if err := s.peer.Close(ctx); err != nil {
		s.r.log.Debug("closing a session", "instance", s.instance.ID, "error", err)
	}
	s.peer = nil
}
