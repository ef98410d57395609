package testkit

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Load makes calls none of which may fail, get lost or be executed twice. Each has a number, and
// what executes it writes that to the ledger, a line each.
type Load struct {
	Ledger string // a file

	t       testing.TB
	going   context.Context
	end     context.CancelFunc
	callers sync.WaitGroup
	calls   atomic.Int64
	failed  atomic.Int64
}

// NewLoad prepares a load. It ends with the test at the latest.
func NewLoad(t testing.TB, ledger string) *Load {
	t.Helper()
	l := &Load{Ledger: ledger, t: t}
	l.going, l.end = context.WithCancel(t.Context())
	t.Cleanup(l.stop)
	return l
}

func (l *Load) stop() {
	l.end()
	l.callers.Wait()
}

// Caller makes calls, one after the other, until [Load.Audit]. The last one ends before that: call
// must not stop when the test's context does.
func (l *Load) Caller(call func(n int) error) {
	l.callers.Go(func() {
		for l.going.Err() == nil {
			n := int(l.calls.Add(1))
			if err := call(n); err != nil {
				l.failed.Add(1)
				l.t.Errorf("call %d: %v", n, err)
			}
		}
	})
}

// Calls is how many have begun.
func (l *Load) Calls() int64 { return l.calls.Load() }

// Audit ends the load, and fails the test unless each call was executed once. What says which load
// it is.
func (l *Load) Audit(what ...string) {
	l.t.Helper()
	l.stop()
	text, err := os.ReadFile(l.Ledger)
	if err != nil {
		l.t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(text)) {
		times[strings.TrimSpace(line)]++
	}
	lost, twice := 0, 0
	for n := range l.Calls() {
		switch times[strconv.FormatInt(n+1, 10)] {
		case 0:
			lost++
		case 1:
		default:
			twice++
		}
	}
	l.t.Logf("%s %d calls, %d failed, %d lost, %d executed twice", strings.Join(what, " "), l.Calls(), l.failed.Load(),
		lost, twice)
	if lost > 0 || twice > 0 || l.Calls() < 10 {
		l.t.Errorf("of %d calls %d were lost, and %d executed twice", l.Calls(), lost, twice)
	}
}
