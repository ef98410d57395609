package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
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
	since    time.Time         // when it came
}

// openSession connects instance n of a pool, and keeps it connected until it is taken back. Where
// the agent is ours, a first dial that fails fails the start. A foreign one may come later: see
// [arrival].
func (r *Runtime) openSession(ctx, base context.Context, p planned, pool *route.Pool, n int, d dial) error {
	s := &session{r: r, agent: p, pool: pool, instance: pool.Instances()[n], dial: d}
	if p.arrival == nil {
		peer, err := d(ctx)
		if err != nil {
			return fmt.Errorf("agent %s: %w", s.instance.ID, err)
		}
		s.up(ctx, peer)
	}
	ctx, cancel := context.WithCancel(base)
	over := make(chan struct{})
	r.tasks.Go(func() {
		defer close(over)
		defer func() {
			if s.peer != nil { // it came at the moment in which it was taken back
				s.release(ctx)
			}
		}()
		if p.arrival != nil && s.arrive(ctx) != nil {
			return
		}
		if p.cfg.Child() {
			s.restart(ctx)
		} else {
			s.reconnect(ctx)
		}
	})
	p.undo.Add("session to "+s.instance.ID, func(closeCtx context.Context) error {
		if s.instance.Session() == nil {
			cancel() // an attempt to start it may be under way
		}
		err := s.instance.Stop(closeCtx)
		cancel()
		<-over
		return err
	})
	return nil
}

// up puts a fresh session to work.
func (s *session) up(ctx context.Context, peer communicator.Peer) {
	s.peer, s.since = peer, time.Now()
	s.pool.Learn(peer.Info())
	s.instance.Up(peer)
	s.r.refresh()
	if subs := s.agent.subscriptions; subs != nil && s.instance == s.pool.Instances()[0] {
		subs.moveTo(ctx, peer, s.r.log)
	}
}

// redial makes a session. While the system drains, nothing is started again: it returns when the
// agent's turn to stop comes.
func (s *session) redial(ctx context.Context) (communicator.Peer, error) {
	if s.r.draining() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.dial(ctx)
}

// comeBack makes the session anew.
func (s *session) comeBack(ctx context.Context) error {
	peer, err := s.redial(ctx)
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
	s.r.metrics.ClientSession(ctx, s.agent.name, s.agent.cfg.Communicator, time.Since(s.since), err)
	if ping := (*client.PingError)(nil); errors.As(err, &ping) {
		s.r.tel.Failed(ctx, s.r.hop(s.agent.name, s.agent.cfg.Communicator), s.agent.name, "ping", time.Now(), err)
	}
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

// failure describes an error in the log, with what the program that failed wrote last.
func failure(err error) []any {
	if lines := client.LastLines(err); len(lines) > 0 {
		return []any{"error", err, "stderr", strings.Join(lines, "\n")}
	}
	return []any{"error", err}
}

// reconnectWaits are those between attempts to reach an agent.
func (r *Runtime) reconnectWaits() backoff.Policy {
	c := r.cfg.Reconnect
	return backoff.Policy{Initial: c.Initial, Multiplier: c.Multiplier, Max: c.Max, Jitter: reconnectJitter}
}

// reconnectJitter spreads the processes that lost the same server.
const reconnectJitter = 0.2

// arrive makes the first session of an instance, as often as it takes. The error is ctx's end.
func (s *session) arrive(ctx context.Context) error {
	began, first := time.Now(), true
	tried := func() {
		if first {
			s.agent.arrival.ended()
			first = false
		}
	}
	err := supervise.Reconnect(ctx, s.r.reconnectWaits(), func(ctx context.Context) error {
		s.instance.Down(route.Starting, nil)
		peer, err := s.redial(ctx)
		if err != nil {
			return err
		}
		if s.up(ctx, peer); !first {
			s.r.log.Info("agent has come", "agent", s.agent.name, "instance", s.instance.ID, "after",
				time.Since(began).Round(time.Millisecond))
			s.r.come(s.agent.name)
		}
		tried()
		return nil
	}, func(n int, wait time.Duration, err error) {
		s.instance.DownFor(wait, route.Failed, err)
		what := "agent cannot start, it is tried again"
		if s.agent.kind == project.KindURL {
			what = "agent cannot be reached, it is tried again"
		}
		s.r.log.Warn(what, append(failure(err), "agent", s.agent.name, "instance",
			s.instance.ID, "attempt", n, "next", wait.Round(time.Millisecond))...)
		if first && s.agent.arrival.must {
			s.r.fail(fmt.Errorf("agent %s must be there at the start, and cannot start: %w", s.agent.name, err))
		}
		tried()
	})
	tried()
	return err
}

// reconnect keeps the session to an agent that lives elsewhere, or here behind an endpoint: there
// is nothing to restart, so it never gives up.
func (s *session) reconnect(ctx context.Context) {
	for {
		if s.peer == nil {
			err := supervise.Reconnect(ctx, s.r.reconnectWaits(), s.comeBack, func(n int, wait time.Duration,
				err error) {
				s.instance.DownFor(wait, route.Restarting, err)
				s.r.log.Warn("agent cannot be reached", append(failure(err), "agent", s.agent.name, "attempt", n,
					"next", wait.Round(time.Millisecond))...)
			})
			if err != nil {
				return
			}
		}
		err := s.await(ctx)
		if ctx.Err() != nil || s.r.draining() {
			return
		}
		s.instance.Restarted()
		s.instance.Down(route.Restarting, err)
		s.r.log.Warn("session lost", append(failure(err), "agent", s.agent.name)...)
	}
}

// restart keeps a child process running: whenever it ends it is started again, as often as the
// project file allows.
func (s *session) restart(ctx context.Context) {
	life := func(ctx context.Context) error {
		if s.peer == nil {
			if err := s.comeBack(ctx); err != nil {
				return err
			}
		}
		err := s.await(ctx)
		if s.r.draining() {
			return nil // what has ended is not started again
		}
		return err
	}
	policy, i := supervise.Policy(s.r.cfg.Restart), s.instance
	err := supervise.Loop(ctx, policy, i.ID, s.r.log, life, func(st supervise.Status) {
		i.SetRestarts(st.Restarts)
		if st.State == supervise.Restarting || st.State == supervise.Backoff {
			i.DownFor(st.Wait, route.State(st.State), st.Err)
		}
	})
	if errors.Is(err, supervise.ErrGaveUp) {
		i.Down(route.Failed, err)
		if x := s.r.runners.remote(i.ID); x != nil {
			x.finish(StateFailed, err)
		}
		s.r.giveUp(s.agent, err)
	}
}
