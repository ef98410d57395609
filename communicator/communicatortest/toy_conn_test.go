package communicatortest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
)

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
	c := &toyConn{toy: y, nc: nc, done: make(chan struct{}), out: make(chan outLine, toyQueue),
		wait: map[uint64]*toyWait{}, run: map[uint64]context.CancelFunc{}, asks: map[uint64]chan frame{}}
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
			_, _ = c.send(c.ctx, frame{Kind: "reply", ID: f.ID,
				Err: agent.Refusedf(agent.CodeNotFound, "no agent %q", f.Name)})
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
	if c.toy.broken != "mute" {
		_, _ = c.send(c.ctx, reply)
	}
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

// roundTrip sends a dial or a call and waits for its reply. The error is about the way, not what
// the callee said.
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
