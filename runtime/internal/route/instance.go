package route

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
)

// State is what an instance of an agent is doing.
type State string

// The states of an instance.
const (
	Starting   State = "starting"
	Ready      State = "ready"
	Idle       State = "idle"       // parked, since nobody called it; the next call starts it
	Suspect    State = "suspect"    // does not answer pings; gets no calls while another one is ready
	Restarting State = "restarting" // or being reconnected
	Backoff    State = "backoff"    // failed too often in a row; waits
	Failed     State = "failed"     // given up, or could not start and waits for the next attempt
	Draining   State = "draining"   // takes no new calls, and stops when those in flight have ended
	Stopped    State = "stopped"
)

// A Condition is how an instance is at one moment.
type Condition struct {
	State State
	// Since is when it came into the state.
	Since time.Time
	// Err is why it is not ready, or why its last session ended; nil while it is ready.
	Err error
	// Next is when it is tried again; zero: not, or now.
	Next time.Time
	// Awaits says that it is tried again when something has changed that Err speaks of.
	Awaits bool

	woken bool // it was parked, and starts since it was called
}

// A HaltedError is why an instance is stopped that can be started again: somebody has stopped it.
type HaltedError struct {
	// Start is the command that starts it.
	Start string
}

// Error implements error.
func (e *HaltedError) Error() string { return "stopped by openmas stop; " + e.Start + " starts it" }

// An Instance is one running copy of an agent, reached through one session at a time.
type Instance struct {
	// ID is the agent's name and a number: "name/0".
	ID string
	// Health asks whether it is healthy; nil when it cannot be asked. It is set before the first
	// call.
	Health func(context.Context) error
	health question

	gate     calls.Gate
	suspect  atomic.Bool
	parked   atomic.Bool
	restarts atomic.Int64
	served   atomic.Int64

	mu      sync.Mutex
	now     Condition
	ending  bool                              // Stop was called
	called  chan struct{}                     // closed when one that is parked is called
	changed func()                            // of the pool
	session atomic.Pointer[communicator.Peer] // nil: down
}

func newInstance(name string, n int, changed func()) *Instance {
	return &Instance{ID: fmt.Sprintf("%s/%d", name, n), now: Condition{State: Starting, Since: time.Now()},
		changed: changed}
}

// Up gives the instance a fresh session, for new calls: those that Hold has refused too.
func (i *Instance) Up(p communicator.Peer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.session.Store(&p)
	if !i.ending {
		i.gate.Open()
		i.become(Condition{State: Ready})
	}
}

// Begin notes that the instance is being started, whatever has become of it before.
func (i *Instance) Begin() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ending {
		i.become(Condition{State: Starting})
	}
}

// Suspect notes that the session does not answer pings, or does again.
func (i *Instance) Suspect(is bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case is && i.now.State == Ready:
		i.become(Condition{State: Suspect, Err: errSilent})
	case !is && i.now.State == Suspect:
		i.become(Condition{State: Ready})
	}
}

// errSilent is why an instance is suspect.
var errSilent = errors.New("it does not answer pings")

// become is called with mu held.
func (i *Instance) become(now Condition) {
	i.suspect.Store(now.State == Suspect)
	i.parked.Store(now.State == Idle)
	now.Since = i.now.Since
	if now.State != i.now.State || now.Since.IsZero() {
		now.Since = time.Now()
	}
	i.now = now
	i.changed()
}

// Down ends the instance's session for new calls. err is why; nil keeps what was known.
func (i *Instance) Down(s State, err error) { i.DownFor(0, s, err) }

// DownFor is Down when the instance is tried again after a wait.
func (i *Instance) DownFor(wait time.Duration, s State, err error) {
	now := Condition{State: s, Err: err}
	if wait > 0 {
		now.Next = time.Now().Add(wait)
	}
	i.down(now)
}

// DownUntil is Down when the instance is tried again once what err speaks of has changed.
func (i *Instance) DownUntil(s State, err error) { i.down(Condition{State: s, Err: err, Awaits: true}) }

func (i *Instance) down(now Condition) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.session.Store(nil)
	if i.ending && now.State != Stopped {
		return // nothing comes after its end
	}
	if now.Err == nil {
		now.Err = i.now.Err
	}
	i.become(now)
}

// Release takes the session away, whatever the state is.
func (i *Instance) Release() { i.session.Store(nil) }

// Hold refuses new calls until Up, and waits for those in flight, until ctx ends. With [Restarting]
// as its state new calls wait for Up. Calls below those in flight are taken: their callers wait for
// them.
func (i *Instance) Hold(ctx context.Context, s State, why error) error {
	i.mu.Lock()
	i.gate.Shut()
	if !i.ending {
		i.become(Condition{State: s, Err: why})
	}
	i.mu.Unlock()
	return i.gate.Wait(ctx)
}

// Stop is Hold for good.
func (i *Instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	i.ending = true
	i.gate.Shut()
	i.become(Condition{State: Draining, Err: i.now.Err})
	i.mu.Unlock()
	err := i.gate.Wait(ctx)
	i.Down(Stopped, nil)
	return err
}

// drained reports whether the instance takes no new calls. within: nor does it take those below a
// call in flight, unless there are none any more.
func (i *Instance) drained(within bool) bool {
	return i.gate.IsShut() && (!within || i.gate.InFlight() == 0)
}

// Look returns how the instance is now.
func (i *Instance) Look() Condition {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

// Session returns the session; nil while it is down.
func (i *Instance) Session() communicator.Peer {
	if s := i.session.Load(); s != nil {
		return *s
	}
	return nil
}

// InFlight is how many calls it serves now.
func (i *Instance) InFlight() int { return i.gate.InFlight() }

// OnLeave has f called whenever a call has ended, from now on. It must be quick.
func (i *Instance) OnLeave(f func()) { i.gate.OnLeave(f) }

// Served is how many calls it was given so far.
func (i *Instance) Served() int64 { return i.served.Load() }

// Restarts is how often it was started or reached again.
func (i *Instance) Restarts() int64 { return i.restarts.Load() }

// SetRestarts sets how often it was started again.
func (i *Instance) SetRestarts(n int) { i.restarts.Store(int64(n)) }

// Restarted counts that it was reached again.
func (i *Instance) Restarted() { i.restarts.Add(1) }
