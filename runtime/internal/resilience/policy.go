package resilience

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// maxAttempts is where a retry policy stops being one.
const maxAttempts = 100

// A Policy says how often a call is tried and how long to wait in between. Before attempt n+1 it
// waits a random time between 0 and Initial x Multiplier^(n-1), at most Max ("full jitter": callers
// that failed together do not come back together).
type Policy struct {
	// Attempts at a call in all, the first one included; 1 turns retries off.
	Attempts int
	// Initial and Max bound the random wait before the second and before any attempt.
	Initial, Max time.Duration
	// Multiplier is how much the bound grows from one wait to the next.
	Multiplier float64
}

// DefaultPolicy is 3 attempts, 100 ms doubled, at most 10 s.
func DefaultPolicy() Policy {
	return Policy{Attempts: 3, Initial: 100 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second}
}

// Validate says everything that is wrong with the policy, in the words of the project file; nil if
// nothing.
func (p Policy) Validate() error {
	var errs []error
	if p.Attempts < 1 || p.Attempts > maxAttempts {
		errs = append(errs, fmt.Errorf("retry: attempts is %d: from 1 (no retry) to %d", p.Attempts, maxAttempts))
	}
	if p.Initial <= 0 {
		errs = append(errs, fmt.Errorf("retry: initial is %v: it must be more than 0", p.Initial))
	}
	if p.Max < p.Initial {
		errs = append(errs, fmt.Errorf("retry: max is %v: it must not be less than initial, %v", p.Max, p.Initial))
	}
	if !(p.Multiplier >= 1) || math.IsInf(p.Multiplier, 1) { // the negation is for NaN
		errs = append(errs, fmt.Errorf("retry: multiplier is %v: a number from 1 on", p.Multiplier))
	}
	return errors.Join(errs...)
}

// bound is the longest wait after attempt n failed, n from 1. It is sane for every policy, valid or
// not.
func (p Policy) bound(n int) time.Duration {
	d := float64(p.Initial) * math.Pow(p.Multiplier, float64(n-1))
	if !(d < float64(p.Max)) { // beyond it, infinite, or NaN
		return max(p.Max, 0)
	}
	return max(time.Duration(d), 0)
}

// fullJitter is a random time in [0, bound].
func fullJitter(bound time.Duration) time.Duration {
	if bound < 1 {
		return 0
	}
	return time.Duration(rand.Int64N(int64(min(bound, math.MaxInt64-1)) + 1))
}
