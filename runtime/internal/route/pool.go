package route

import (
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

// A Pool spreads calls over the instances of an agent. Its instances are fixed; sessions come and
// go.
type Pool struct {
	name      string
	instances []*Instance
	turn      atomic.Uint32
	// known is what the agent offered last: it stays while all instances are down.
	known atomic.Pointer[agent.Info]

	common    *lane // of the calls without a lane of their own
	perTool   bool  // tools have lanes
	lanes     atomic.Pointer[map[string]*lane]
	onBreaker func(i *Instance, tool string, now resilience.BreakerLook)

	dismissed atomic.Bool                  // no call waits any more
	next      atomic.Pointer[agent.Caller] // takes the calls that find no place; nil: nobody does
	// Forgets: its instances may be parked, and keep no results of calls with a key then. It is set
	// before the first call.
	Forgets bool

	mu      sync.Mutex
	changes chan struct{} // closed when an instance changes; nil: nobody waits for it
}

// NewPool returns a pool of n instances, numbered from 0, without a session yet.
func NewPool(name string, n int) *Pool {
	p := &Pool{name: name, instances: make([]*Instance, n)}
	for i := range p.instances {
		p.instances[i] = newInstance(name, i, p.changed)
	}
	p.common = newLane("", n, DefaultLimits(), newSlots(n))
	return p
}

// Instances are those of the agent. The slice must not be changed.
func (p *Pool) Instances() []*Instance { return p.instances }

// Replace sends the calls that wait, and those that find no place from now on, to next.
func (p *Pool) Replace(next agent.Caller) {
	p.next.Store(&next)
	p.changed()
}

// Learn notes what the agent offers, as a session reported it.
func (p *Pool) Learn(info agent.Info) { p.known.Store(&info) }

// Known reports whether any session has reported what the agent offers.
func (p *Pool) Known() bool { return p.known.Load() != nil }

// Info describes the agent by the first instance that is up, else as it was known last.
func (p *Pool) Info() agent.Info {
	for _, i := range p.instances {
		if s := i.session.Load(); s != nil {
			info := (*s).Info()
			info.Keeper = p.keeper(info.Keeper)
			return info
		}
	}
	if k := p.known.Load(); k != nil {
		info := *k
		if p.Forgets {
			info.Keeper = ""
		}
		return info
	}
	return agent.Info{Name: p.name}
}

// watch returns what is closed at the next change of an instance.
func (p *Pool) watch() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes == nil {
		p.changes = make(chan struct{})
	}
	return p.changes
}

func (p *Pool) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes != nil {
		close(p.changes)
		p.changes = nil
	}
}

// GaveUp reports whether all instances have failed for good.
func (p *Pool) GaveUp() bool {
	for _, i := range p.instances {
		if now := i.Look(); now.State != Failed || now.Awaits || !now.Next.IsZero() {
			return false
		}
	}
	return true
}

// Suspect reports whether no instance is ready, and one at least does not answer its pings.
func (p *Pool) Suspect() bool {
	found := false
	for _, i := range p.instances {
		switch i.Look().State {
		case Ready:
			return false
		case Suspect:
			found = true
		}
	}
	return found
}

// Down says why no instance takes calls: its state, the reason, and when it is tried next. nil: one
// does.
func (p *Pool) Down() error {
	var first error
	for _, i := range p.instances {
		switch up, now := i.session.Load() != nil, i.Look(); {
		case up && !i.gate.IsShut(), now.State == Idle:
			return nil
		case first == nil || now.State == Starting:
			first = now.why(p.name)
		}
	}
	return first
}

// halted reports whether all instances were stopped by somebody who may start them again.
func (p *Pool) halted() bool {
	for _, i := range p.instances {
		now := i.Look()
		if by := (*HaltedError)(nil); now.State != Stopped && now.State != Draining || !errors.As(now.Err, &by) {
			return false
		}
	}
	return true
}

// why puts the condition of an agent that takes no calls in words.
func (c Condition) why(name string) error {
	how := "is " + string(c.State)
	by := (*HaltedError)(nil)
	switch {
	case errors.As(c.Err, &by):
		return fmt.Errorf("agent %s is %w", name, by)
	case c.State == Draining:
		return fmt.Errorf("agent %s is stopping", name)
	case c.State == Failed:
		how = "has failed"
	case c.State == Starting && c.Err != nil:
		how = "is starting, its last attempt failed"
	}
	next := c.Until(name)
	if wait := time.Until(c.Next); wait > 0 {
		next = fmt.Sprintf("; it is tried again in %v", max(wait.Round(time.Second), time.Second))
	}
	if c.Err == nil {
		return fmt.Errorf("agent %s %s%s", name, how, next)
	}
	return fmt.Errorf("agent %s %s: %w%s", name, how, plain{c.Err}, next)
}

// Until says what an agent waits for that is not tried again after a time; empty: it does not.
func (c Condition) Until(name string) string {
	if !c.Awaits {
		return ""
	}
	return "; it is tried again when that has changed, or by openmas start " + name
}

// plain is an error without the code before its text, which the error around it has.
type plain struct{ error }

func (p plain) Error() string {
	var e *agent.Error
	if errors.As(p.error, &e) && p.error == error(e) { //nolint:errorlint // only the error itself may go without its code
		return e.Message
	}
	return p.error.Error()
}

func (p plain) Unwrap() error { return p.error }

// byKey chooses the instance for a call with a key: the one that the call is tied to, else always
// the same of those that are up, so that calls with one key come together.
func (p *Pool) byKey(c *agent.Call, not communicator.Peer) (best int, session communicator.Peer) {
	best = -1
	var highest uint64
	for n, i := range p.instances {
		s := i.session.Load()
		if s == nil || *s == not || c.Keeper != "" && (*s).Info().Keeper != c.Keeper {
			continue
		}
		h := fnv.New64a()
		for _, part := range []string{c.From.User, c.From.Agent, c.Key, i.ID} {
			_, _ = h.Write(append([]byte(part), 0)) // never fails
		}
		if weight := h.Sum64(); best < 0 || weight > highest {
			best, session, highest = n, *s, weight
		}
	}
	return best, session
}

// keeper is the generation that all instances which are up share, or empty.
func (p *Pool) keeper(first string) string {
	if p.Forgets {
		return ""
	}
	for _, i := range p.instances {
		if s := i.session.Load(); s == nil || (*s).Info().Keeper != first {
			return ""
		}
	}
	return first
}

func hasKey(c *agent.Call) bool { return c.Key != "" && c.Op == agent.OpTool }
