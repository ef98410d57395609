// Package backoff says how long to wait before the next attempt at something that failed. It is the
// only place in this module where a wait grows.
//
// A loop that counts its attempts asks a [Policy]:
//
//	for n := 1; connect(ctx) != nil; n++ {
//		if err := backoff.Sleep(ctx, policy.Wait(n)); err != nil {
//			return err
//		}
//	}
//
// One that starts afresh after a success keeps a [Backoff].
package backoff

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// Full is the [Policy.Jitter] that spreads attempts the most: those who failed together do not come
// back together.
const Full = 1

// A Policy says how waits grow. The zero Policy does not wait. Every value is safe to use: waits
// are never negative, and never longer than Max and its jitter.
type Policy struct {
	// Initial is the wait after the first failure, and after each further one it is Multiplier
	// times as long.
	Initial    time.Duration
	Multiplier float64
	// Max bounds the waits, before jitter.
	Max time.Duration
	// Jitter changes each wait at random: 0 not at all, less than 1 by up to this part of itself
	// either way, and [Full] to anything between 0 and itself.
	Jitter float64
}

// Wait is how long to wait after failure n, n from 1.
func (p Policy) Wait(n int) time.Duration {
	d := p.Bound(n)
	switch {
	case p.Jitter >= Full:
		return time.Duration(rand.Float64() * float64(d))
	case p.Jitter > 0:
		return duration(float64(d) * (1 + p.Jitter*(2*rand.Float64()-1)))
	}
	return d
}

// Bound is the wait after failure n without jitter.
func (p Policy) Bound(n int) time.Duration {
	d := float64(p.Initial) * math.Pow(p.Multiplier, float64(max(n, 1)-1))
	if !(d < float64(p.Max)) { // beyond it, infinite, or NaN
		return max(p.Max, 0)
	}
	return max(time.Duration(d), 0)
}

// duration is d, or the longest there is.
func duration(d float64) time.Duration {
	if d >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(d)
}

// A Backoff counts failures in a row. It is not safe for concurrent use.
type Backoff struct {
	policy Policy
	failed int
}

// New returns a Backoff that has seen no failure.
func New(p Policy) *Backoff { return &Backoff{policy: p} }

// Next counts a failure and returns how long to wait after it.
func (b *Backoff) Next() time.Duration {
	b.failed++
	return b.policy.Wait(b.failed)
}

// Reset forgets the failures: the next wait is the initial one.
func (b *Backoff) Reset() { b.failed = 0 }

// Wait counts a failure and waits. It returns early with the cause when ctx ends.
func (b *Backoff) Wait(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Sleep waits for d. It returns early with the cause when ctx ends, and at once where it has ended.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
