package communicatortest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
)

// toy is the smallest communicator with a wire: JSON lines over TCP. The suite is tried on it, as
// it is and broken on purpose.
type toy struct {
	addr   string // to dial
	listen net.Listener
	broken string // which promise to break
	wg     sync.WaitGroup

	mu     sync.Mutex
	bound  map[string]*toyBinding
	conns  map[*toyConn]struct{}
	closed bool
}

const (
	toyLimit = 256 << 10 // bytes of input, and of a structured result
	toyQueue = 8
)

// frame is one line. ID is that of the call it belongs to; Ask that of a question in it.
type frame struct {
	Kind    string // dial, info, call, cancel, reply, notice, ask, answer
	ID, Ask uint64
	Name    string         `json:",omitempty"`
	Info    *agent.Info    `json:",omitempty"`
	Call    *agent.Call    `json:",omitempty"`
	Timeout time.Duration  `json:",omitempty"`
	Back    bool           `json:",omitempty"`
	Result  *agent.Result  `json:",omitempty"`
	Err     *agent.Error   `json:",omitempty"`
	Notice  *agent.Notice  `json:",omitempty"`
	Request *agent.Request `json:",omitempty"`
	Data    json.RawMessage
}

// newToy makes an end that serves at a free port (and dials addr, if given).
func newToy(addr, broken string) (*toy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	y := &toy{addr: cmp.Or(addr, l.Addr().String()), listen: l, broken: broken, bound: map[string]*toyBinding{},
		conns: map[*toyConn]struct{}{}}
	if broken == "leak" {
		go func() { select {} }()
	}
	y.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			y.start(c)
		}
	})
	return y, nil
}

func (y *toy) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	name := s.Info().Name
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.closed || y.bound[name] != nil {
		return nil, agent.Errorf(agent.CodeUnavailable, "serve %s: closed or taken", name)
	}
	b := &toyBinding{toy: y, Service: s, name: name}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	y.bound[name] = b
	return b, nil
}

func (y *toy) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", y.addr)
	if err != nil {
		return nil, agent.Refusedf(agent.CodeUnavailable, "dial %s: %w", name, err)
	}
	c := y.start(nc)
	f, _, err := c.roundTrip(ctx, frame{Kind: "dial", Name: name}, nil)
	if err != nil || f.Err != nil {
		c.end()
		if f.Err != nil {
			return nil, f.Err
		}
		return nil, agent.Refusedf(agent.CodeUnavailable, "dial %s: %w", name, err)
	}
	return &toyPeer{conn: c, info: *f.Info}, nil
}

func (y *toy) Close(ctx context.Context) error {
	y.mu.Lock()
	y.closed = true
	var bound []*toyBinding
	for _, b := range y.bound {
		bound = append(bound, b)
	}
	y.mu.Unlock()
	var errs []error
	if y.broken != "drain" {
		for _, b := range bound {
			b.gate.Shut()
		}
		for _, b := range bound {
			errs = append(errs, b.Close(ctx))
		}
	}
	_ = y.listen.Close()
	y.mu.Lock()
	for c := range y.conns {
		c.cut()
	}
	y.mu.Unlock()
	y.wg.Wait()
	return errors.Join(errs...)
}

type toyBinding struct {
	communicator.Service
	toy    *toy
	name   string
	gate   calls.Gate
	ctx    context.Context
	cancel func()
}

func (b *toyBinding) Close(ctx context.Context) error {
	b.gate.Shut()
	b.toy.mu.Lock()
	if b.toy.bound[b.name] == b {
		delete(b.toy.bound, b.name)
	}
	b.toy.mu.Unlock()
	err := b.gate.Wait(ctx)
	b.cancel()
	return err
}

type toyPeer struct {
	conn *toyConn
	info agent.Info
}

func (p *toyPeer) Info() agent.Info { return p.info }

func (p *toyPeer) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	switch {
	case ctx.Err() != nil:
		return nil, agent.Refusedf(agent.CodeOf(ctx.Err()), "%w", ctx.Err())
	case len(c.Input) > toyLimit:
		return nil, agent.Refusedf(agent.CodeResourceExhausted, "%d bytes of input", len(c.Input))
	case len(c.Input) > 0 && !json.Valid(c.Input):
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "the input is no JSON")
	}
	sentCall := *c
	sentCall.Back = nil
	f := frame{Kind: "call", Call: &sentCall, Back: c.Back != nil}
	if at, ok := ctx.Deadline(); ok {
		f.Timeout = max(time.Until(at), 1)
	}
	reply, sent, err := p.conn.roundTrip(ctx, f, c.Back)
	switch {
	case err == nil && reply.Err != nil:
		return nil, reply.Err
	case err == nil:
		return reply.Result, nil
	case ctx.Err() != nil:
		return nil, agent.AsError(ctx.Err())
	case sent && p.conn.toy.broken != "evidence":
		return nil, agent.Errorf(agent.CodeOutcomeUnknown, "%w", err)
	}
	return nil, agent.Refusedf(agent.CodeUnavailable, "%w", err)
}

func (p *toyPeer) Close(context.Context) error { p.conn.end(); return nil }
