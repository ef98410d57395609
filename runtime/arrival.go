package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/project"
)

// An arrival is the first attempt to start a foreign agent. The start waits for it for some time
// only, and goes on when it fails: the agent may come later. One that must come fails the start.
type arrival struct {
	must bool
	// tried is closed when the first attempt of each instance has ended.
	tried chan struct{}

	left atomic.Int32
}

func newArrival(instances int, must bool) *arrival {
	a := &arrival{must: must, tried: make(chan struct{})}
	a.left.Store(int32(instances))
	return a
}

// ended notes that the first attempt of an instance has ended.
func (a *arrival) ended() {
	if a.left.Add(-1) == 0 {
		close(a.tried)
	}
}

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

// reconnectWaits are those between attempts to reach an agent.
func (r *Runtime) reconnectWaits() backoff.Policy {
	c := r.cfg.Reconnect
	return backoff.Policy{Initial: c.Initial, Multiplier: c.Multiplier, Max: c.Max, Jitter: reconnectJitter}
}

// awaitArrivals waits until the first attempt of the foreign agents among names has ended, or for
// the rest of start.wait. The error is that of one that must come, or of ctx.
func (r *Runtime) awaitArrivals(ctx context.Context, names []string) error {
	patience := time.NewTimer(time.Until(r.patience))
	defer patience.Stop()
	for _, p := range r.hosted() {
		if p.arrival == nil || !slices.Contains(names, p.name) {
			continue
		}
		enough := patience.C
		if p.arrival.must {
			enough = nil
		}
		select {
		case <-p.arrival.tried:
		case err := <-r.fatal:
			return err
		case <-enough:
			patience.Reset(0) // the others are not waited for either
		case <-ctx.Done():
			return r.givenUp(ctx)
		}
	}
	select {
	case err := <-r.fatal:
		return err
	default:
		return nil
	}
}

// givenUp is the error of a start whose context has ended: it says what was waited for.
func (r *Runtime) givenUp(ctx context.Context) error {
	if text := r.waits.String(); text != "" {
		return fmt.Errorf("start given up (%w) while waiting for %s", context.Cause(ctx), text)
	}
	return fmt.Errorf("start given up: %w", context.Cause(ctx))
}

// Tried waits until the first attempt to start an agent has ended; of all agents when name is
// empty. How it ended is in [Runtime.Status], and in the errors of calls. It is for programs that
// ask when the system is ready, but an agent may still be starting.
func (r *Runtime) Tried(ctx context.Context, name string) error {
	for _, p := range r.hosted() {
		if p.arrival == nil || name != "" && p.name != name {
			continue
		}
		select {
		case <-p.arrival.tried:
		case <-ctx.Done():
			return r.givenUp(ctx)
		}
	}
	return nil
}

// slotTime is how long a starting process keeps others from starting. One that takes longer mostly
// waits for something else than this machine.
const slotTime = 10 * time.Second

// turn waits until a child process may start: a machine that starts many at once starts none in
// time. done gives the turn to the next.
func (r *Runtime) turn(ctx context.Context, who string) (done func(), err error) {
	defer r.waits.begin(who, because(fmt.Sprintf("%d other processes start at the same time (start.parallel)",
		cap(r.turns))))()
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, r.givenUp(ctx)
	}
	release := sync.OnceFunc(func() { <-r.turns })
	timer := time.AfterFunc(slotTime, release)
	return func() {
		timer.Stop()
		release()
	}, nil
}

// foreign reports whether the agent is a program or server that is not ours.
func (p planned) foreign() bool { return p.kind != project.KindType }
