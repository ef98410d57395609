package runtime

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/gate"
)

// State is what an instance of an agent is doing.
type State string

// The states of an instance.
const (
	StateStarting   State = "starting"
	StateReady      State = "ready"
	StateRestarting State = "restarting" // or being reconnected
	StateBackoff    State = "backoff"    // failed too often in a row; rests
	StateFailed     State = "failed"     // given up
	StateStopped    State = "stopped"
)

// An instance is one running copy of an agent, reached through one session at a time.
type instance struct {
	id       string // agent/index
	gate     gate.Gate
	restarts atomic.Int64
	served   atomic.Int64 // calls so far
	// health asks how it is; nil when it has nothing to say. Fixed from the start.
	health func(context.Context) error

	mu      sync.Mutex
	state   State
	lastErr error
	asked   *answer                           // the open question about its health
	session atomic.Pointer[communicator.Peer] // nil: down
}

func newInstance(name string, n int) *instance {
	return &instance{id: fmt.Sprintf("%s/%d", name, n), state: StateStarting}
}

func (i *instance) up(p communicator.Peer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.state, i.lastErr = StateReady, nil
	i.session.Store(&p)
}

// down ends the instance's session for new calls. err is why; nil keeps what was known.
func (i *instance) down(s State, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.session.Store(nil)
	i.state = s
	if err != nil {
		i.lastErr = err
	}
}

// stop refuses new calls for good and waits for those in flight.
func (i *instance) stop(ctx context.Context) error {
	i.gate.Shut()
	err := i.gate.Wait(ctx)
	i.down(StateStopped, nil)
	return err
}

func (i *instance) look() (State, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.state, i.lastErr
}

// A pool spreads calls over the instances of an agent. Its instances are fixed; sessions come and
// go.
type pool struct {
	name      string
	instances []*instance
	turn      atomic.Uint32
	// known is what the agent offered last: it stays while all instances are down.
	known atomic.Pointer[agent.Info]
	// watched of a foreign server, whose first instance's session watches; else nil.
	watched *watched
}

// Info describes the agent by the first instance that is up, else as it was known last.
func (p *pool) Info() agent.Info {
	for _, i := range p.instances {
		if s := i.session.Load(); s != nil {
			return (*s).Info()
		}
	}
	if k := p.known.Load(); k != nil {
		return *k
	}
	return agent.Info{Name: p.name}
}

// Call implements [agent.Caller]: the least loaded instance that is up serves, in turn among
// equals.
func (p *pool) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	i, s := p.choose()
	if i == nil || !i.gate.Enter() {
		return nil, p.unavailable(c)
	}
	defer i.gate.Leave()
	i.served.Add(1)
	return s.Call(ctx, c)
}

func (p *pool) choose() (*instance, communicator.Peer) {
	if len(p.instances) == 1 {
		if s := p.instances[0].session.Load(); s != nil {
			return p.instances[0], *s
		}
		return nil, nil
	}
	var best *instance
	var session communicator.Peer
	first := int(p.turn.Add(1))
	for n := range p.instances {
		i := p.instances[(first+n)%len(p.instances)]
		if s := i.session.Load(); s != nil && (best == nil || i.gate.InFlight() < best.gate.InFlight()) {
			best, session = i, *s
		}
	}
	return best, session
}

func (p *pool) unavailable(c *agent.Call) *agent.Error {
	state, why := p.instances[0].look()
	if why != nil {
		return agent.Refusedf(agent.CodeUnavailable, "%s: agent %s is %s after: %v", c.Target(), p.name, state, why)
	}
	return agent.Refusedf(agent.CodeUnavailable, "%s: agent %s is %s", c.Target(), p.name, state)
}
