package communicator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
)

// Local is the in-process communicator: a call is a function call, without encoding, goroutine or
// lock. The caller waits for the tool: one that ignores its context keeps its caller past the
// deadline. The runtime and agenttest reach agents of their own process with it.
type Local struct {
	mu     sync.RWMutex
	bound  map[string]*localBinding
	closed bool
}

// NewLocal returns an empty Local.
func NewLocal() *Local { return &Local{bound: map[string]*localBinding{}} }

// Serve implements [Server].
func (l *Local) Serve(ctx context.Context, s Service) (Binding, error) {
	name := s.Info().Name
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, agent.AsError(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, agent.Errorf(agent.CodeUnavailable, "serve %s: the communicator is closed", name)
	}
	if _, dup := l.bound[name]; dup {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "serve %s: the name is taken", name)
	}
	b := &localBinding{l: l, name: name, s: s}
	l.bound[name] = b
	return b, nil
}

// Dial implements [Dialer].
func (l *Local) Dial(_ context.Context, name string) (Peer, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if b, ok := l.bound[name]; ok {
		return &localPeer{b: b}, nil
	}
	if l.closed {
		return nil, agent.Refusedf(agent.CodeUnavailable, "dial %s: the communicator is closed", name)
	}
	return nil, agent.Refusedf(agent.CodeNotFound, "no agent %q in this process", name)
}

// Close implements [Communicator].
func (l *Local) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	var all []*localBinding
	for _, b := range l.bound {
		all = append(all, b)
	}
	l.mu.Unlock()
	for _, b := range all {
		b.gate.Shut()
	}
	var errs []error
	for _, b := range all {
		errs = append(errs, b.Close(ctx))
	}
	return errors.Join(errs...)
}

type localBinding struct {
	l    *Local
	name string
	s    Service
	gate calls.Gate
}

func (b *localBinding) Close(ctx context.Context) error {
	b.gate.Shut()
	b.l.mu.Lock()
	if b.l.bound[b.name] == b {
		delete(b.l.bound, b.name)
	}
	b.l.mu.Unlock()
	return b.gate.Wait(ctx)
}

type localPeer struct {
	b      *localBinding
	closed atomic.Bool
}

func (p *localPeer) Info() agent.Info { return p.b.s.Info() }

func (p *localPeer) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if p.closed.Load() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the session is closed", c.Target())
	}
	if !p.b.gate.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the agent is closed", c.Target())
	}
	defer p.b.gate.Leave()
	return p.b.s.Call(ctx, c)
}

// Close ends the session. A local call cannot be torn from its tool: those in flight run to their
// end.
func (p *localPeer) Close(context.Context) error {
	p.closed.Store(true)
	return nil
}
