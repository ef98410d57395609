package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/crash"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/project"
)

// A dial makes one session to one instance of an agent: a connection, or a child process.
type dial func(ctx context.Context) (communicator.Peer, error)

// A session leads to one instance of an agent, and is made anew whenever it ends: see restart and
// reconnect.
type session struct {
	r        *Runtime
	agent    planned
	pool     *route.Pool
	instance *route.Instance
	dial     dial
	base     context.Context   // what it lives in
	peer     communicator.Peer // nil while there is none
	since    time.Time         // when it came
	came     bool              // the first attempt to start it has ended
	failed   bool              // it has failed since it came last
	parked   <-chan struct{}   // closed when it is called; nil: it is not parked

	mu   sync.Mutex // one order at a time
	over bool       // it was taken back
	// end ends what keeps it, and returns when that is over.
	end func()
}

// openSession connects instance n of a pool, and keeps it connected until it is taken back. Where
// the agent is ours, a first dial that fails fails the start. A foreign one may come later: see
// [arrival].
func (r *Runtime) openSession(ctx, base context.Context, d *deployment, pool *route.Pool, n int,
	dial dial) (*session, error) {
	s := &session{r: r, agent: d.planned, pool: pool, instance: pool.Instances()[n], dial: dial, base: base}
	if d.arrival == nil {
		peer, err := dial(ctx)
		if err != nil {
			return nil, fmt.Errorf("agent %s: %w", s.instance.ID, err)
		}
		s.up(ctx, peer)
	}
	s.keep()
	d.undo.Add("session to "+s.instance.ID, s.close)
	return s, nil
}

// keep has a goroutine of its own make the session, if there is none, and keep it until end.
func (s *session) keep() {
	ctx, cancel := context.WithCancel(s.base)
	over := make(chan struct{})
	s.end = func() {
		cancel()
		<-over
	}
	s.r.tasks.Go(func() {
		defer close(over)
		defer func() {
			if s.peer != nil { // it came at the moment in which it was taken back
				s.release(ctx)
			}
		}()
		if s.agent.arrival != nil && s.peer == nil && s.arrive(ctx) != nil {
			return
		}
		if s.agent.cfg.Child() {
			s.restart(ctx)
		} else {
			s.reconnect(ctx)
		}
	})
}

// close takes the session back, once its calls have ended.
func (s *session) close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.instance.Session() == nil {
		s.end() // an attempt to start it may be under way
	}
	err := s.instance.Stop(ctx)
	s.end()
	return err
}

// halt implements [unit].
func (s *session) halt(ctx context.Context, as route.State, why error) (cut error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut = s.instance.Hold(ctx, as, why)
	s.end()
	s.r.runners.reset(s.instance.ID, StateStopped)
	s.instance.DownFor(0, halted(as), why)
	return cut
}

// begin implements [unit].
func (s *session) begin(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errEnding
	}
	s.end()
	s.instance.Begin()
	s.r.runners.reset(s.instance.ID, StateStarting)
	s.keep()
	return s.pool.Await(ctx, s.instance)
}

// up puts a fresh session to work.
func (s *session) up(ctx context.Context, peer communicator.Peer) {
	s.peer, s.since = peer, time.Now()
	s.pool.Learn(peer.Info())
	subs := s.agent.subscriptions
	if subs != nil && s.instance == s.pool.Instances()[0] {
		subs.Use(peer)
	}
	s.instance.Up(peer)
	s.r.refresh()
	if subs != nil && s.instance == s.pool.Instances()[0] {
		subs.MoveTo(ctx, peer, s.r.log)
	}
}

// redial makes a session. While the system drains, nothing is started again: it returns when the
// agent's turn to stop comes.
func (s *session) redial(ctx context.Context) (communicator.Peer, error) {
	if s.r.draining() {
		s.instance.Down(route.Stopped, nil) // calls do not wait for it
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
	if s.failed && s.agent.cfg.Child() {
		s.r.onBack(s.agent)
	}
	s.failed = false
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
		s.failed = true
		s.instance.Down(route.Restarting, err)
	}
	s.release(ctx)
	return err
}

// ended waits for the end and returns why; nil when ctx ended it.
func (s *session) ended(ctx context.Context) error {
	m, ok := s.peer.(crash.Mortal)
	if !ok {
		<-ctx.Done()
		return nil
	}
	if after := s.agent.cfg.IdleStop; after > 0 {
		may := func() bool { return s.r.mayPark(s.agent, s.pool, s.peer) }
		if s.parked = s.instance.ParkWhenIdle(ctx, m.Done(), after, may); s.parked != nil {
			return nil
		}
	}
	select {
	case <-m.Done():
		return crash.Ended(m)
	case <-ctx.Done():
		return nil
	}
}

// release closes what has ended or is no longer wanted, its child process included.
func (s *session) release(ctx context.Context) {
	s.instance.Release()
	c := s.agent.of.Child
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StdinWait+c.TermWait+5*time.Second)
	defer cancel()
	if err := s.peer.Close(ctx); err != nil {
		s.r.log.Debug("closing a session", "instance", s.instance.ID, "error", err)
	}
	s.peer = nil
}

// arrive makes the first session of an instance, as often as it takes. The error is ctx's end.
func (s *session) arrive(ctx context.Context) error {
	began, first, said := time.Now(), !s.came, ""
	tried := func() {
		if first {
			s.agent.arrival.ended()
			first, s.came = false, true
		}
	}
	var crashes supervise.Crashes
	err := supervise.Reconnect(ctx, s.agent.reconnectWaits(), func(ctx context.Context) error {
		s.instance.Down(route.Starting, nil)
		peer, err := s.redial(ctx)
		if err != nil {
			return resting(&crashes, err)
		}
		if s.up(ctx, peer); s.came {
			s.r.log.Info("agent has come", "agent", s.agent.name, "instance", s.instance.ID, "after",
				time.Since(began).Round(time.Millisecond))
			s.r.come(s.agent.name)
		}
		tried()
		return nil
	}, func(n int, wait time.Duration, err error) {
		what := "agent cannot start, it is tried again"
		if s.agent.kind == project.KindURL {
			what = "agent cannot be reached, it is tried again"
		}
		if wait == 0 {
			s.instance.DownUntil(route.Failed, err)
			what += " when its program is there"
		} else {
			s.instance.DownFor(wait, route.Failed, err)
		}
		s.r.crashedAtStart(s.agent, s.instance.ID, wait, err)
		s.r.log.Warn(what, append(s.r.failedAgain(&said, n, err), "agent", s.agent.name, "instance",
			s.instance.ID, "next", wait.Round(time.Millisecond))...)
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
	rest, again := backoff.New(s.agent.reconnectWaits()), false
	for {
		if s.peer == nil {
			said := ""
			err := supervise.Reconnect(ctx, s.agent.reconnectWaits(), s.comeBack, func(n int, wait time.Duration,
				err error) {
				s.instance.DownFor(wait, route.Restarting, err)
				s.r.log.Warn("agent cannot be reached", append(s.r.failedAgain(&said, n, err), "agent", s.agent.name,
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
		wait := time.Duration(0)
		switch short := time.Since(s.since) < shortSession; {
		case !short:
			rest.Reset()
			again = false
		case again:
			wait = rest.Next()
		default:
			again = true
		}
		s.instance.DownFor(wait, route.Restarting, err)
		s.r.silenced(s.agent, s.instance, wait, err)
		s.r.log.Warn("session lost", append(s.r.failure(err), "agent", s.agent.name, "next",
			wait.Round(time.Millisecond))...)
		if backoff.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// restart keeps a child process running: whenever it ends it is started again, as often as the
// project file allows.
func (s *session) restart(ctx context.Context) {
	life := func(ctx context.Context) error {
		for rest := backoff.New(s.agent.reconnectWaits()); s.peer == nil; {
			if err := s.comeBack(ctx); err != nil && !s.r.awaitProgram(ctx, s.agent, s.instance, err) &&
				!s.r.awaitRoom(ctx, s.instance, rest, err) {
				return err
			}
		}
		err := s.await(ctx)
		for ; s.parked != nil; err = s.await(ctx) {
			peer, failed := s.r.awaitCall(ctx, s.agent, s.instance, s.parked, s.dial)
			if s.parked = nil; failed != nil {
				s.failed = true
				return failed
			}
			s.up(ctx, peer)
		}
		if s.r.draining() {
			return nil // what has ended is not started again
		}
		return err
	}
	policy, i := s.r.restarts(s.agent), s.instance
	log := s.r.log.With("agent", s.agent.name, "instance", i.ID)
	err := supervise.Loop(ctx, policy, i.ID, log, life, func(st supervise.Status) {
		i.SetRestarts(st.Restarts)
		s.r.crashed(s.agent, i.ID, crashes.Process, st)
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
