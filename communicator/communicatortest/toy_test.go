package communicatortest_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// toy is the smallest communicator with a wire: JSON lines over TCP. The suite is tried on it, as it is and broken on purpose.
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
	y := &toy{addr: cmp.Or(addr, l.Addr().String()), listen: l, broken: broken, bound: map[string]*toyBinding{}, conns: map[*toyConn]struct{}{}}
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
	gate   communicator.Gate
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

// toyConn is one end of a connection.
type toyConn struct {
	toy  *toy
	nc   net.Conn
	ctx  context.Context // ends with the connection
	cut  func()
	done chan struct{} // the reader has returned
	out  chan outLine
	next atomic.Uint64
	mu   sync.Mutex
	wait map[uint64]*toyWait           // as a caller: calls and dials in flight
	run  map[uint64]context.CancelFunc // as a callee: calls being served
	asks map[uint64]chan frame         // as a callee: questions without an answer yet
	bind *toyBinding                   // as a callee: who was dialled
}

type outLine struct {
	text    []byte
	written chan struct{}
}

type toyWait struct {
	ctx   context.Context
	back  agent.BackChannel
	reply chan frame
}

func (y *toy) start(nc net.Conn) *toyConn {
	c := &toyConn{toy: y, nc: nc, done: make(chan struct{}), out: make(chan outLine, toyQueue), wait: map[uint64]*toyWait{}, run: map[uint64]context.CancelFunc{}, asks: map[uint64]chan frame{}}
	var cancel func()
	c.ctx, cancel = context.WithCancel(context.Background())
	c.cut = func() { cancel(); _ = nc.Close() }
	y.mu.Lock()
	y.conns[c] = struct{}{}
	if y.closed {
		c.cut()
	}
	y.mu.Unlock()
	y.wg.Go(c.read)
	y.wg.Go(c.write)
	return c
}

// end closes the connection and waits for its reader.
func (c *toyConn) end() { c.cut(); <-c.done }

func (c *toyConn) write() {
	for {
		select {
		case line := <-c.out:
			if _, err := c.nc.Write(line.text); err != nil {
				c.cut()
				return
			}
			close(line.written)
		case <-c.ctx.Done():
			return
		}
	}
}

// send queues a line. sent is false when that was certainly not done.
func (c *toyConn) send(ctx context.Context, f frame) (sent bool, err error) {
	line, err := json.Marshal(f)
	if err != nil {
		return false, err
	}
	if c.ctx.Err() != nil {
		return false, net.ErrClosed
	}
	out := outLine{append(line, '\n'), make(chan struct{})}
	select {
	case c.out <- out:
		if f.Kind == "reply" { // which ends a call: the connection may be closed then
			select {
			case <-out.written:
			case <-c.ctx.Done():
			}
		}
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-c.ctx.Done():
		return false, net.ErrClosed
	}
}

func (c *toyConn) read() {
	defer close(c.done)
	defer func() {
		c.toy.mu.Lock()
		delete(c.toy.conns, c)
		c.toy.mu.Unlock()
	}()
	defer c.cut()
	lines := bufio.NewReader(c.nc)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var f frame
		if json.Unmarshal(line, &f) != nil {
			return
		}
		c.handle(f)
	}
}

func (c *toyConn) handle(f frame) {
	c.mu.Lock()
	w, cancel, ask := c.wait[f.ID], c.run[f.ID], c.asks[f.Ask]
	c.mu.Unlock()
	switch f.Kind {
	case "dial":
		c.toy.mu.Lock()
		c.bind = c.toy.bound[f.Name]
		c.toy.mu.Unlock()
		if c.bind == nil {
			_, _ = c.send(c.ctx, frame{Kind: "reply", ID: f.ID, Err: agent.Refusedf(agent.CodeNotFound, "no agent %q", f.Name)})
			return
		}
		info := c.bind.Info()
		_, _ = c.send(c.ctx, frame{Kind: "reply", ID: f.ID, Info: &info})
	case "call":
		ctx, cancel := context.WithCancel(c.ctx)
		if f.Timeout != 0 && c.toy.broken != "deadline" {
			ctx, cancel = context.WithTimeout(c.ctx, f.Timeout)
		}
		c.mu.Lock()
		c.run[f.ID] = cancel
		c.mu.Unlock()
		c.toy.wg.Go(func() { c.serve(ctx, cancel, f) })
	case "cancel":
		if cancel != nil && c.toy.broken != "cancel" {
			cancel()
		}
	case "reply":
		if w != nil {
			w.reply <- f
		}
	case "notice":
		if w != nil && w.back != nil {
			w.back.Notify(w.ctx, *f.Notice)
		}
	case "ask":
		if w != nil {
			c.toy.wg.Go(func() {
				data, err := w.back.Request(w.ctx, *f.Request)
				_, _ = c.send(w.ctx, frame{Kind: "answer", ID: f.ID, Ask: f.Ask, Data: data, Err: agent.AsError(err)})
			})
		}
	case "answer":
		if ask != nil {
			ask <- f
		}
	}
}

// serve runs one call and answers it.
func (c *toyConn) serve(ctx context.Context, cancel func(), f frame) {
	defer cancel()
	defer context.AfterFunc(c.bind.ctx, cancel)()
	reply := frame{Kind: "reply", ID: f.ID}
	if !c.bind.gate.Enter() {
		reply.Err = agent.Refusedf(agent.CodeUnavailable, "closed")
		_, _ = c.send(c.ctx, reply)
		return
	}
	defer c.bind.gate.Leave()
	if f.Back {
		f.Call.Back = &toyBack{c, f.ID}
	}
	res, err := c.bind.Call(ctx, f.Call)
	if c.toy.broken == "twice" {
		res, err = c.bind.Call(ctx, f.Call)
	}
	reply.Result, reply.Err = res, agent.AsError(err)
	if c.toy.broken == "evidence" && reply.Err != nil {
		reply.Err.NotExecuted = true
	}
	if res != nil && len(res.Structured) > toyLimit {
		reply.Result, reply.Err = nil, agent.Errorf(agent.CodeResourceExhausted, "the result is too large")
	}
	if res != nil && !json.Valid(res.Structured) && len(res.Structured) > 0 {
		reply.Result, reply.Err = nil, agent.Errorf(agent.CodeInternal, "the result is no JSON")
	}
	_, _ = c.send(c.ctx, reply)
	c.mu.Lock()
	delete(c.run, f.ID)
	c.mu.Unlock()
}

// toyBack is the way back of one call.
type toyBack struct {
	c  *toyConn
	id uint64
}

func (b *toyBack) Notify(ctx context.Context, n agent.Notice) {
	_, _ = b.c.send(ctx, frame{Kind: "notice", ID: b.id, Notice: &n})
}

func (b *toyBack) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	f, ch := frame{Kind: "ask", ID: b.id, Ask: b.c.next.Add(1), Request: &r}, make(chan frame, 1)
	b.c.mu.Lock()
	b.c.asks[f.Ask] = ch
	b.c.mu.Unlock()
	if _, err := b.c.send(ctx, f); err != nil {
		return nil, agent.AsError(err)
	}
	select {
	case a := <-ch:
		if a.Err != nil {
			return nil, a.Err
		}
		return a.Data, nil
	case <-ctx.Done():
		return nil, agent.AsError(ctx.Err())
	}
}

// roundTrip sends a dial or a call and waits for its reply. The error is about the way, not what the callee said.
func (c *toyConn) roundTrip(ctx context.Context, f frame, back agent.BackChannel) (reply frame, sent bool, err error) {
	w := &toyWait{ctx: ctx, back: back, reply: make(chan frame, 1)}
	f.ID = c.next.Add(1)
	c.mu.Lock()
	c.wait[f.ID] = w
	c.mu.Unlock()
	defer func() { c.mu.Lock(); delete(c.wait, f.ID); c.mu.Unlock() }()
	if sent, err := c.send(ctx, f); err != nil {
		return frame{}, sent, err
	}
	select {
	case reply = <-w.reply:
		return reply, true, nil
	case <-ctx.Done():
		_, _ = c.send(c.ctx, frame{Kind: "cancel", ID: f.ID})
		return frame{}, true, ctx.Err()
	case <-c.done: // the reader is gone: what it read is in the channel
		select {
		case reply = <-w.reply:
			return reply, true, nil
		default:
			return frame{}, true, net.ErrClosed
		}
	}
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
