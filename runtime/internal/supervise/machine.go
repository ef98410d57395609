// Package supervise keeps things running that end when they should not: it restarts them, ever more
// slowly, and gives up where restarting does not help.
package supervise

import (
	"time"

	"github.com/openmas/openmas/internal/backoff"
)

// A State is what has become of something supervised.
type State string

// The states. done, failed and stopped are final.
const (
	Running    State = "running"
	Restarting State = "restarting" // it failed and runs again in a moment
	Backoff    State = "backoff"    // it failed too often and waits
	Done       State = "done"       // it ended by itself, without an error
	Failed     State = "failed"     // it failed after its last backoff as well
	Stopped    State = "stopped"    // its context ended
)

// Final reports whether nothing follows the state.
func (s State) Final() bool { return s == Done || s == Failed || s == Stopped }

// A Policy is when to restart what failed, as the project file has it.
type Policy struct {
	// Limit is how many restarts are allowed within the time Window. One more is a backoff.
	Limit  int
	Window time.Duration
	// Backoff is how long something waits that failed too often. After it the restarts are
	// counted afresh.
	Backoff time.Duration
	// GiveUpAfter is how many backoffs it gets: when it fails too often again after the last one,
	// it is failed. A run that lasted for Window earns them back.
	GiveUpAfter int
}

// firstDelay is the wait before a second restart within Window; it doubles from one restart to the
// next, up to Backoff. The first restart is at once.
const firstDelay = 100 * time.Millisecond

// machine applies a Policy. It has no clock, does nothing, and remembers at most Limit times.
type machine struct {
	policy   Policy
	started  time.Time
	restarts []time.Time // since the last backoff and within Window, oldest first
	backoffs int         // since a run last lasted for Window
}

// start notes that a run begins.
func (m *machine) start(now time.Time) { m.started = now }

// fail returns what is next after the run that began at start failed: Restarting or Backoff and the
// wait before it runs again, or Failed.
func (m *machine) fail(now time.Time) (State, time.Duration) {
	if now.Sub(m.started) >= m.policy.Window {
		m.restarts, m.backoffs = m.restarts[:0], 0
	}
	for len(m.restarts) > 0 && now.Sub(m.restarts[0]) >= m.policy.Window {
		m.restarts = m.restarts[1:]
	}
	if n := len(m.restarts); n < m.policy.Limit {
		wait := m.delay(n)
		m.restarts = append(m.restarts, now.Add(wait))
		return Restarting, wait
	}
	if m.backoffs < m.policy.GiveUpAfter {
		m.backoffs++
		m.restarts = m.restarts[:0]
		return Backoff, m.policy.Backoff
	}
	return Failed, 0
}

// delay is the wait before a restart that follows n others.
func (m *machine) delay(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return backoff.Policy{Initial: firstDelay, Multiplier: 2, Max: m.policy.Backoff}.Wait(n)
}
