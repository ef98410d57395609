package supervise

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A program that ends in the same way five times rests, longer each time. Another end begins anew.
func TestCrashesRest(t *testing.T) {
	var c Crashes
	var got []int
	for range 12 {
		got = append(got, int(c.Rest("code 1").Seconds()))
	}
	if want := []int{0, 0, 0, 0, 15, 30, 60, 120, 240, 300, 300, 300}; !slices.Equal(got, want) {
		t.Error(got)
	}
	for n := range 5 {
		if rest := c.Rest("code 2"); (rest == 0) != (n < 4) {
			t.Error(n, rest)
		}
	}
}

// What cannot start before something has changed waits for that, and not for a time.
func TestReconnectNotYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, n, there := time.Now(), 0, false
		var waits []time.Duration
		err := Reconnect(t.Context(), growing, func(context.Context) error {
			switch n++; {
			case n == 1:
				return &NotYetError{Err: errBoom, Rest: time.Hour}
			case !there:
				return &NotYetError{Err: errBoom, Until: func(context.Context) {
					time.Sleep(24 * time.Hour)
					there = true
				}}
			}
			return nil
		}, func(_ int, wait time.Duration, _ error) { waits = append(waits, wait) })
		if want := []time.Duration{time.Hour, 0}; err != nil || !slices.Equal(waits, want) ||
			time.Since(began) != 25*time.Hour {
			t.Error(waits, err, time.Since(began))
		}
	})
}
