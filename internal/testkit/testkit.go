// Package testkit is what the tests of several packages share.
package testkit

import (
	"flag"
	"fmt"
	"os"
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

// Longer tries with twice the time until ok, which reports whether d was enough: for what has to
// begin before a deadline, also on a machine that is busy.
func Longer(t testing.TB, what string, d time.Duration, ok func(d time.Duration) bool) {
	t.Helper()
	for ; !ok(d); d *= 2 {
		if d > Hang {
			t.Fatalf("%s: not within %v", what, d)
		}
	}
}

// NoExitSleep is a GORACE for the programs that tests start: with the race detector, a program
// sleeps for a second before it ends.
const NoExitSleep = "atexit_sleep_ms=0"

// Processes skips a test that starts other processes where tests are to be quick (-short).
func Processes(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it starts processes")
	}
}

// OnlyProcesses reports whether tests are to be quick, and prints why none runs: for the TestMain
// of a package all of whose tests start processes.
func OnlyProcesses() bool {
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "-short: all of these tests start processes")
	}
	return testing.Short()
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
