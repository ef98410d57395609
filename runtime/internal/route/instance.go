package route

import (
	"context"
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
	Restarting State = "restarting" // or being reconnected
	Backoff    State = "backoff"    // failed too often in a row; waits
	Failed     State = "failed"     // given up, or could not start and waits for the next attempt
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
}

// An Instance is one running copy of an agent, reached through one session at a time.
type Instance struct {
	// ID is the agent's name and a number: "name/0".
	ID string
	// Health asks whether it is healthy; nil when it cannot be asked. It is set before the first
	// call.
	Health func(context.Context) error
	health question

	gate     calls.Gate
	restarts atomic.Int64
	served   atomic.Int64

	mu      sync.Mutex
	now     Condition
	changed chan struct{}                     // closed when now changes; nil: nobody waits for it
	session atomic.Pointer[communicator.Peer] // nil: down
}

func newInstance(name string, n int) *Instance {
	return &Instance{ID: fmt.Sprintf("%s/%d", name, n), now: Condition{State: Starting, Since: time.Now()}}
}

// Up gives the instance a fresh session, for new calls.
func (i *Instance) Up(p communicator.Peer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.session.Store(&p)
	i.become(Condition{State: Ready})
}

// become is called with mu held.
func (i *Instance) become(now Condition) {
	now.Since = i.now.Since
	if now.State != i.now.State || now.Since.IsZero() {
		now.Since = time.Now()
	}
	i.now = now
	if i.changed != nil {
		close(i.changed)
		i.changed = nil
	}
}

// Down ends the instance's session for new calls. err is why; nil keeps what was known.
func (i *Instance) Down(s State, err error) { i.DownFor(0, s, err) }

// DownFor is Down when the instance is tried again after a wait.
func (i *Instance) DownFor(wait time.Duration, s State, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.session.Store(nil)
	if err == nil {
		err = i.now.Err
	}
	now := Condition{State: s, Err: err}
	if wait > 0 {
		now.Next = time.Now().Add(wait)
	}
	i.become(now)
}

// reopenTime is how long a call waits for the session that follows one that was forgotten.
const reopenTime = 10 * time.Second

// reopened waits for the session after old. nil: there is none soon.
func (i *Instance) reopened(ctx context.Context, old communicator.Peer) communicator.Peer {
	ctx, cancel := context.WithTimeout(ctx, reopenTime)
	defer cancel()
	for {
		i.mu.Lock()
		s, now := i.Session(), i.now
		if i.changed == nil {
			i.changed = make(chan struct{})
		}
		changed := i.changed
		i.mu.Unlock()
		switch {
		case s != nil && s != old:
			return s
		case now.State == Stopped || now.State == Failed || !now.Next.IsZero():
			return nil // it was tried
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Release takes the session away, whatever the state is.
func (i *Instance) Release() { i.session.Store(nil) }

// Stop refuses new calls for good and waits for those in flight.
func (i *Instance) Stop(ctx context.Context) error {
	i.gate.Shut()
	err := i.gate.Wait(ctx)
	i.Down(Stopped, nil)
	return err
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
