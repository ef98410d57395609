// Package supervise keeps things running that end when they should not: it restarts them, ever more
// slowly, and gives up where restarting does not help.
package supervise

import (
	"errors"
	"fmt"
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

// A Policy is when to restart what failed.
type Policy struct {
	// Restarts is how many restarts are allowed within the time Within. One more is a backoff.
	Restarts int
	Within   time.Duration
	// Backoff is how long something waits that failed too often. After it the restarts are
	// counted afresh.
	Backoff time.Duration
	// GiveUpAfter is how many backoffs it gets: when it fails too often again after the last one,
	// it is failed. A run that lasted for Within earns them back.
	GiveUpAfter int
	// Delay is the wait before a second restart within Within; it doubles from one restart to the
	// next, up to Backoff. The first restart is at once.
	Delay time.Duration
}

// DefaultPolicy is 5 restarts in 30 s, then 15 s of backoff, failed after the third; the waits
// between restarts begin with 100 ms.
func DefaultPolicy() Policy {
	return Policy{Restarts: 5, Within: 30 * time.Second, Backoff: 15 * time.Second, GiveUpAfter: 3,
		Delay: 100 * time.Millisecond}
}

// Validate returns everything that is wrong with the policy, in the words of the project file; nil
// if nothing.
func (p Policy) Validate() error {
	var errs []error
	if p.Restarts < 0 {
		errs = append(errs, fmt.Errorf("restart: restarts is %d: it must not be negative", p.Restarts))
	}
	if p.Within <= 0 {
		errs = append(errs, fmt.Errorf("restart: within is %v: it must be more than 0", p.Within))
	}
	if p.Backoff < 0 {
		errs = append(errs, fmt.Errorf("restart: backoff is %v: it must not be negative", p.Backoff))
	}
	if p.GiveUpAfter < 0 {
		errs = append(errs, fmt.Errorf("restart: give_up_after is %d: it must not be negative", p.GiveUpAfter))
	}
	if p.Delay < 0 {
		errs = append(errs, fmt.Errorf("restart: delay is %v: it must not be negative", p.Delay))
	}
	return errors.Join(errs...)
}

// machine applies a Policy. It has no clock, does nothing, and remembers at most Restarts times.
type machine struct {
	policy   Policy
	started  time.Time
	restarts []time.Time // since the last backoff and within Within, oldest first
	backoffs int         // since a run last lasted for Within
}

// start notes that a run begins.
func (m *machine) start(now time.Time) { m.started = now }

// fail returns what is next after the run that began at start failed: Restarting or Backoff and the
// wait before it runs again, or Failed.
func (m *machine) fail(now time.Time) (State, time.Duration) {
	if now.Sub(m.started) >= m.policy.Within {
		m.restarts, m.backoffs = m.restarts[:0], 0
	}
	for len(m.restarts) > 0 && now.Sub(m.restarts[0]) >= m.policy.Within {
		m.restarts = m.restarts[1:]
	}
	if n := len(m.restarts); n < m.policy.Restarts {
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
	return backoff.Policy{Initial: m.policy.Delay, Multiplier: 2, Max: m.policy.Backoff}.Wait(n)
}
