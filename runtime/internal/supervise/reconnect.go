package supervise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/openmas/openmas/agent"
)

// A Growth is how the waits between attempts grow that never end: from Initial by Multiplier up to
// Max, each changed at random by up to the part Jitter of itself, either way.
type Growth struct {
	Initial    time.Duration
	Multiplier float64
	Jitter     float64
	Max        time.Duration
}

// DefaultGrowth is 1 s x 1.6 up to 30 s, +-20 %.
func DefaultGrowth() Growth {
	return Growth{Initial: time.Second, Multiplier: 1.6, Jitter: 0.2, Max: 30 * time.Second}
}

// Validate says everything that is wrong with it, in the words of the project file; nil if nothing.
func (g Growth) Validate() error {
	var errs []error
	if g.Initial <= 0 {
		errs = append(errs, fmt.Errorf("reconnect: initial is %v: it must be more than 0", g.Initial))
	}
	if !(g.Multiplier >= 1) || math.IsInf(g.Multiplier, 1) { // the negation is for NaN
		errs = append(errs, fmt.Errorf("reconnect: multiplier is %v: a number from 1 on", g.Multiplier))
	}
	if !(g.Jitter >= 0 && g.Jitter < 1) {
		errs = append(errs, fmt.Errorf("reconnect: jitter is %v: from 0 to less than 1", g.Jitter))
	}
	if g.Max < g.Initial {
		errs = append(errs, fmt.Errorf("reconnect: max is %v: it must not be less than initial, %v", g.Max, g.Initial))
	}
	return errors.Join(errs...)
}

// Wait is how long to wait after attempt n failed, n from 1.
func (g Growth) Wait(n int) time.Duration {
	d := float64(g.Initial) * math.Pow(g.Multiplier, float64(n-1))
	if !(d < float64(g.Max)) { // beyond it, infinite, or NaN
		d = float64(g.Max)
	}
	return max(time.Duration(d*(1+g.Jitter*(2*rand.Float64()-1))), 0)
}

// Reconnect calls connect until it returns nil, and returns nil then. It never gives up by itself:
// any other return is ctx's end, and wraps its cause and the last error of connect. A panic in
// connect is an error. Where that error asks for a longer wait ([agent.Error.RetryAfter]), it gets
// it, up to ten times Max. onFail, if not nil, is told of each failure and the wait that follows
// it; it must be quick.
func Reconnect(ctx context.Context, g Growth, connect func(context.Context) error,
	onFail func(attempt int, wait time.Duration, err error)) error {
	var last error
	for n := 1; ctx.Err() == nil; n++ {
		if last = Try(ctx, connect); last == nil {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
		wait := max(g.Wait(n), min(agent.AsError(last).RetryAfter, 10*g.Max))
		if onFail != nil {
			onFail(n, wait, last)
		}
		sleep(ctx, wait)
	}
	if last == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), last)
}
