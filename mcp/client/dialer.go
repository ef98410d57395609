package client

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp"
)

// A Dialer reaches the agents that another of our processes, or this one, serves over HTTP: each at
// BaseURL/NAME/sse or BaseURL/NAME/mcp. Its fields must not change after the first Dial. It is safe
// for concurrent use.
type Dialer struct {
	// Transport is SSE or Streamable.
	Transport mcp.Transport
	// BaseURL says where the agents are, such as http://127.0.0.1:8765/internal. It is asked for
	// each Dial.
	BaseURL func() string
	// Token is sent as a bearer token. The server is to take it for one of our own, or nothing is
	// known of callers and deadlines on the other side.
	Token string
	// Options are those of each session.
	Options Options

	mu     sync.Mutex
	closed bool
	open   map[*dialed]struct{}
}

var _ communicator.Dialer = (*Dialer)(nil)

// Dial implements [communicator.Dialer].
func (d *Dialer) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	t := Target{Name: name, Transport: d.Transport, Trusted: true,
		URL: strings.TrimSuffix(d.BaseURL(), "/") + "/" + name + d.Transport.Endpoint()}
	if d.Token != "" {
		t.Headers = map[string]string{"Authorization": "Bearer " + d.Token}
	}
	p := &dialed{d: d}
	if err := d.join(p); err != nil {
		return nil, err
	}
	s, err := Connect(ctx, t, d.Options)
	if err != nil {
		return nil, err
	}
	p.Session = s
	if err := d.join(p); err != nil { // closed in the meantime
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}

// Close ends the sessions that nobody has closed, and makes Dial fail from now on.
func (d *Dialer) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	var open []*dialed
	for p := range d.open {
		open = append(open, p)
	}
	d.mu.Unlock()
	var errs []error
	for _, p := range open {
		errs = append(errs, p.Close(ctx))
	}
	return errors.Join(errs...)
}

// join refuses p when the dialer is closed, and keeps it once it has a session.
func (d *Dialer) join(p *dialed) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return agent.Refusedf(agent.CodeUnavailable, "the communicator is closed")
	}
	if p.Session != nil {
		if d.open == nil {
			d.open = map[*dialed]struct{}{}
		}
		d.open[p] = struct{}{}
	}
	return nil
}

// dialed is a session that the dialer closes when nobody else does.
type dialed struct {
	*Session
	d *Dialer
}

// Close implements [communicator.Peer].
func (p *dialed) Close(ctx context.Context) error {
	p.d.mu.Lock()
	delete(p.d.open, p)
	p.d.mu.Unlock()
	return p.Session.Close(ctx)
}
