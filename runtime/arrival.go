package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

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
