package backoff

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func policies() *rapid.Generator[Policy] {
	return rapid.Custom(func(t *rapid.T) Policy {
		return Policy{
			Initial:    time.Duration(rapid.Int64().Draw(t, "initial")),
			Multiplier: rapid.Float64().Draw(t, "multiplier"),
			Max:        time.Duration(rapid.Int64().Draw(t, "max")),
			Jitter:     rapid.Float64().Draw(t, "jitter"),
		}
	})
}

// Whatever the policy and the count are, no wait is negative, and none above the bound and its
// jitter.
func TestEveryPolicyIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, n := policies().Draw(t, "policy"), rapid.Int().Draw(t, "n")
		bound, limit := p.Bound(n), max(p.Max, 0)
		if bound < 0 || bound > limit {
			t.Fatalf("the bound is %v, the maximum %v", bound, limit)
		}
		jitter := p.Jitter
		if !(jitter > 0) || jitter >= Full {
			jitter = 0
		}
		if w := p.Wait(n); w < 0 || float64(w) > float64(bound)*(1+jitter)+1 {
			t.Fatalf("waits %v, the bound is %v", w, bound)
		}
	})
}

func TestTheLongestWait(t *testing.T) {
	p := Policy{Initial: math.MaxInt64, Multiplier: 2, Max: math.MaxInt64, Jitter: 0.5}
	for n := range 1000 {
		if d := p.Wait(n); d < math.MaxInt64/2 {
			t.Fatalf("after failure %d it waits %v", n, d)
		}
	}
}

func TestWaitsGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			Initial:    time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "initial")),
			Multiplier: rapid.Float64Range(1, 1000).Draw(t, "multiplier"),
			Max:        time.Duration(rapid.Int64Range(int64(time.Minute), int64(24*time.Hour)).Draw(t, "max")),
		}
		if w := p.Wait(1); w != p.Initial {
			t.Fatalf("the first wait is %v", w)
		}
		n := rapid.IntRange(1, 1000).Draw(t, "n")
		if a, b := p.Wait(n), p.Wait(n+1); b < a || b > p.Max {
			t.Fatalf("after %v it waits %v", a, b)
		}
	})
}

func ExamplePolicy() {
	p := Policy{Initial: 100 * time.Millisecond, Multiplier: 2, Max: time.Second}
	for n := 1; n <= 6; n++ {
		fmt.Print(p.Wait(n), " ")
	}
	// Output: 100ms 200ms 400ms 800ms 1s 1s
}

// Waits are spread evenly over all that the jitter allows.
func TestJitter(t *testing.T) {
	for name, c := range map[string]struct {
		jitter   float64
		from, to time.Duration
	}{
		"full": {Full, 0, time.Second},
		"part": {0.2, 800 * time.Millisecond, 1200 * time.Millisecond},
	} {
		p := Policy{Initial: time.Second, Multiplier: 1, Max: time.Second, Jitter: c.jitter}
		const n = 20_000
		var total time.Duration
		low, high := 0, 0
		width := c.to - c.from
		for range n {
			d := p.Wait(1)
			if d < c.from || d > c.to {
				t.Fatalf("%s: %v", name, d)
			}
			if d < c.from+width/10 {
				low++
			}
			if d > c.to-width/10 {
				high++
			}
			total += d
		}
		middle := (c.from + c.to) / 2
		if mean := total / n; math.Abs(float64(mean-middle)) > float64(width)/20 || low < n/20 || high < n/20 {
			t.Errorf("%s: mean %v, %d low, %d high", name, mean, low, high)
		}
	}
}

func TestBackoffWaitsAndResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Policy{Initial: time.Second, Multiplier: 3, Max: 5 * time.Second})
		for _, want := range []time.Duration{1, 3, 5, 5} {
			began := time.Now()
			if err := b.Wait(t.Context()); err != nil || time.Since(began) != want*time.Second {
				t.Errorf("waited %v, not %d s: %v", time.Since(began), want, err)
			}
		}
		b.Reset()
		if d := b.Next(); d != time.Second {
			t.Errorf("after a reset it waits %v", d)
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		began := time.Now()
		if err := Sleep(ctx, time.Hour); err != why || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := Sleep(ctx, 0); err != why {
			t.Error(err)
		}
		if err := Sleep(t.Context(), -1); err != nil {
			t.Error(err)
		}
	})
}
