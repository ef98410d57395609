// Package testkit is what the tests of several packages share.
package testkit

import (
	"fmt"
	"testing"
	"time"
)

// Hang is a generous bound on what must not take for ever.
const Hang = time.Minute

// Eventually waits for a condition that nothing signals, and ends the test if it does not come
// about within [Hang]. What evidence says then is shown: a log.
func Eventually(t testing.TB, what string, ok func() bool, evidence ...fmt.Stringer) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(Hang)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			for _, e := range evidence {
				t.Log(e.String())
			}
			t.Fatalf("%s: not within %v", what, Hang)
		}
	}
}

// Receive waits for a value, but not for ever.
func Receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(Hang):
		t.Fatalf("nothing came within %v", Hang)
		panic("unreachable")
	}
}
