package communicatortest

import (
	"context"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// directory is an [agent.Directory] over a dialer: a session per agent, dialled by its first call.
type directory struct {
	dialer communicator.Dialer
	mu     sync.Mutex
	peers  map[string]communicator.Peer
}

func (d *directory) peer(ctx context.Context, name string) (communicator.Peer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.peers[name]; ok {
		return p, nil
	}
	p, err := d.dialer.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	d.peers[name] = p
	return p, nil
}

// drop forgets the session to an agent, so that the next call dials.
func (d *directory) drop(ctx context.Context, name string) {
	d.mu.Lock()
	p := d.peers[name]
	delete(d.peers, name)
	d.mu.Unlock()
	if p != nil {
		_ = p.Close(ctx) // it is broken, or about to be replaced: how it ends does not matter
	}
}

func (d *directory) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	p, err := d.peer(ctx, c.Agent)
	if err != nil {
		return nil, err
	}
	return p.Call(ctx, c)
}

func (d *directory) Agents() []agent.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []agent.Info
	for _, p := range d.peers {
		all = append(all, p.Info())
	}
	return all
}

func (d *directory) Agent(name string) (agent.Info, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.peers[name]; ok {
		return p.Info(), true
	}
	return agent.Info{}, false
}

func (d *directory) close(ctx context.Context) {
	d.mu.Lock()
	names := make([]string, 0, len(d.peers))
	for n := range d.peers {
		names = append(names, n)
	}
	d.mu.Unlock()
	for _, n := range names {
		d.drop(ctx, n)
	}
}
