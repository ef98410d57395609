package route

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// A Pool spreads calls over the instances of an agent. Its instances are fixed; sessions come and
// go.
type Pool struct {
	name      string
	instances []*Instance
	turn      atomic.Uint32
	// known is what the agent offered last: it stays while all instances are down.
	known atomic.Pointer[agent.Info]
}

// NewPool returns a pool of n instances, numbered from 0, without a session yet.
func NewPool(name string, n int) *Pool {
	p := &Pool{name: name, instances: make([]*Instance, n)}
	for i := range p.instances {
		p.instances[i] = newInstance(name, i)
	}
	return p
}

// Instances are those of the agent. The slice must not be changed.
func (p *Pool) Instances() []*Instance { return p.instances }

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
		return *k
	}
	return agent.Info{Name: p.name}
}

// Call implements [agent.Caller]: the least loaded instance that is up serves, in turn among
// equals; those with one idempotency key go to one instance.
func (p *Pool) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	i, s := p.enter(c)
	if i == nil {
		return nil, p.unavailable(c)
	}
	defer i.gate.Leave()
	i.served.Add(1)
	res, err := s.Call(ctx, c)
	if err != nil && errors.Is(err, communicator.ErrForgotten) {
		if fresh := i.reopened(ctx, s); fresh != nil && (c.Keeper == "" || c.Keeper == fresh.Info().Keeper) {
			return fresh.Call(ctx, c) // the first one did not run
		}
	}
	return res, err
}

// enter chooses an instance and takes a place at it, which the caller leaves. nil: none takes
// calls.
func (p *Pool) enter(c *agent.Call) (*Instance, communicator.Peer) {
	if hasKey(c) {
		// Even while it stops, no other one has the results that it keeps.
		if i, s := p.byKey(c); i != nil && i.gate.Enter() {
			return i, s
		}
		return nil, nil
	}
	for range p.instances { // each may begin to stop at the moment in which it is chosen
		if i, s := p.choose(); i != nil && i.gate.Enter() {
			return i, s
		}
	}
	return nil, nil
}

// choose returns the least loaded instance that is up and does not stop, in turn among equals.
func (p *Pool) choose() (*Instance, communicator.Peer) {
	if len(p.instances) == 1 {
		if s := p.instances[0].session.Load(); s != nil {
			return p.instances[0], *s
		}
		return nil, nil
	}
	var best *Instance
	var session communicator.Peer
	first := int(p.turn.Add(1))
	for n := range p.instances {
		i := p.instances[(first+n)%len(p.instances)]
		if s := i.session.Load(); s != nil && !i.gate.IsShut() &&
			(best == nil || i.gate.InFlight() < best.gate.InFlight()) {
			best, session = i, *s
		}
	}
	return best, session
}

func (p *Pool) unavailable(c *agent.Call) *agent.Error {
	if c.Keeper != "" {
		return agent.Refusedf(agent.CodeUnavailable, "%s: the instance of %s that the call is tied to by its key is "+
			"gone",
			c.Target(), p.name)
	}
	return agent.Refusedf(agent.CodeUnavailable, "%s: %w", c.Target(), p.Down())
}

// GaveUp reports whether all instances have failed for good.
func (p *Pool) GaveUp() bool {
	for _, i := range p.instances {
		if now := i.Look(); now.State != Failed || !now.Next.IsZero() {
			return false
		}
	}
	return true
}

// Down says why no instance takes calls: its state, the reason, and when it is tried next. nil: one
// does.
func (p *Pool) Down() error {
	var first error
	for _, i := range p.instances {
		switch up, now := i.session.Load() != nil, i.Look(); {
		case up && !i.gate.IsShut():
			return nil
		case up:
			first = fmt.Errorf("agent %s is stopping", p.name)
		case first == nil || now.State == Starting:
			first = now.why(p.name)
		}
	}
	return first
}

// why puts the condition of an agent that takes no calls in words.
func (c Condition) why(name string) error {
	how := "is " + string(c.State)
	switch {
	case c.State == Failed:
		how = "has failed"
	case c.State == Starting && c.Err != nil:
		how = "is starting, its last attempt failed"
	}
	next := ""
	if wait := time.Until(c.Next); wait > 0 {
		next = fmt.Sprintf("; it is tried again in %v", max(wait.Round(time.Second), time.Second))
	}
	if c.Err == nil {
		return fmt.Errorf("agent %s %s%s", name, how, next)
	}
	return fmt.Errorf("agent %s %s: %w%s", name, how, plain{c.Err}, next)
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
func (p *Pool) byKey(c *agent.Call) (best *Instance, session communicator.Peer) {
	var highest uint64
	for _, i := range p.instances {
		s := i.session.Load()
		if s == nil || c.Keeper != "" && (*s).Info().Keeper != c.Keeper {
			continue
		}
		h := fnv.New64a()
		for _, part := range []string{c.From.User, c.From.Agent, c.Key, i.ID} {
			_, _ = h.Write(append([]byte(part), 0)) // never fails
		}
		if weight := h.Sum64(); best == nil || weight > highest {
			best, session, highest = i, *s, weight
		}
	}
	return best, session
}

// keeper is the generation that all instances which are up share, or empty.
func (p *Pool) keeper(first string) string {
	for _, i := range p.instances {
		if s := i.session.Load(); s == nil || (*s).Info().Keeper != first {
			return ""
		}
	}
	return first
}

func hasKey(c *agent.Call) bool { return c.Key != "" && c.Op == agent.OpTool }
