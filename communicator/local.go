package communicator

import (
	"context"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
)

// Local is the in-process communicator: a call is a function call, without encoding, goroutine or
// lock. The caller waits for the tool: one that ignores its context keeps its caller past the
// deadline. The runtime and agenttest reach agents of their own process with it.
type Local struct{ served calls.Served[*localBinding] }

// NewLocal returns an empty Local.
func NewLocal() *Local { return &Local{} }

// Serve implements [Server].
func (l *Local) Serve(ctx context.Context, s Service) (Binding, error) {
	b := &localBinding{l: l, name: s.Info().Name, s: s}
	if err := l.served.Add(ctx, b.name, b); err != nil {
		return nil, err
	}
	return b, nil
}

// Dial implements [Dialer].
func (l *Local) Dial(_ context.Context, name string) (Peer, error) {
	b, ok, closed := l.served.Find(name)
	switch {
	case ok:
		return &localPeer{b: b}, nil
	case closed:
		return nil, agent.Refusedf(agent.CodeUnavailable, "dial %s: the communicator is closed", name)
	}
	return nil, agent.Refusedf(agent.CodeNotFound, "no agent %q in this process", name)
}

// Close implements [Communicator].
func (l *Local) Close(ctx context.Context) error { return l.served.Close(ctx) }

type localBinding struct {
	calls.Gate
	l    *Local
	name string
	s    Service
}

func (b *localBinding) Close(ctx context.Context) error {
	b.Shut()
	b.l.served.Remove(b.name, b)
	return b.Wait(ctx)
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
	if !p.b.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the agent is closed", c.Target())
	}
	defer p.b.Leave()
	return p.b.s.Call(ctx, c)
}

// Close ends the session. A local call cannot be torn from its tool: those in flight run to their
// end.
func (p *localPeer) Close(context.Context) error {
	p.closed.Store(true)
	return nil
}
