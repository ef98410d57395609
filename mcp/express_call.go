package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A courier carries calls of the lane to the server, under numbers that the caller chose.
type courier interface {
	// ask sends the request number n, a call of the tool name, and waits for its answer; msg is
	// valid until then. An error that is no *jsonrpc.Error says how that failed.
	ask(ctx context.Context, n uint64, name string, msg []byte) (result json.RawMessage, err error)
	// withdraw tells the server that the answer to a call that was sent, and whose ctx has ended,
	// is not waited for. It may be lost.
	withdraw(ctx context.Context, n uint64)
}

// errElsewhere: the message was not taken, and only the SDK knows what to do next.
var errElsewhere = errors.New("the server is elsewhere")

// Express is the number of calls that took the express lane, so far.
func (s *Session) Express() int64 { return s.express.Load() }

// callExpress calls a tool beside the SDK. errElsewhere: nothing has happened.
func (s *Session) callExpress(ctx context.Context, out outgoing, name string, arguments json.RawMessage) (*agent.Result,
	error) {
	if s.newest() {
		// as the SDK does in later rounds of the call: servers bind a call's state to what it says
		arguments = compact(arguments)
	}
	n := s.replies.next()
	var room [512]byte
	meta, err := appendRequestMeta(ctx, room[:0], out.Call, s.target.Trusted, out.token, s.says)
	if err != nil {
		return nil, err
	}
	var id [32]byte
	buf := messages.Get().(*[]byte)
	*buf = appendCall((*buf)[:0], appendExpressID(id[:0], n), name, arguments, meta)
	s.express.Add(1)
	raw, err := s.lane.ask(ctx, n, name, *buf)
	if cap(*buf) <= 64<<10 {
		messages.Put(buf)
	}
	if err != nil {
		if rpc := (*jsonrpc.Error)(nil); ctx.Err() != nil && (!errors.As(err, &rpc) || isLocal(err)) &&
			out.trace.Sent() && !s.spare.Load() {
			s.lane.withdraw(ctx, n)
		}
		if errors.Is(err, errElsewhere) {
			s.express.Add(-1)
		}
		return nil, err
	}
	return decodeToolResult(raw, s.target.Trusted)
}

// messages are buffers: no courier keeps what it has sent.
var messages = sync.Pool{New: func() any { return new([]byte) }}

// replies are the calls of the lane that wait for an answer: as many as are in flight.
type replies struct {
	last atomic.Uint64
	mu   sync.Mutex
	wait map[uint64]chan reply
}

// reply is the answer to a request: err is a *jsonrpc.Error, or why there is no result.
type reply struct {
	result json.RawMessage
	err    error
}

func (r *replies) next() uint64 { return r.last.Add(1) }

// expect must be followed by forget.
func (r *replies) expect(n uint64) <-chan reply {
	ch := make(chan reply, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wait == nil {
		r.wait = map[uint64]chan reply{}
	}
	r.wait[n] = ch
	return ch
}

func (r *replies) forget(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.wait, n)
}

// take takes a message that answers a request of the lane, also one that came too late.
func (r *replies) take(env *wire.Envelope) bool {
	if env.Method != nil {
		return false
	}
	n, ours := expressID(env.ID)
	if !ours {
		return false
	}
	r.mu.Lock()
	ch := r.wait[n]
	delete(r.wait, n)
	r.mu.Unlock()
	if ch != nil {
		ch <- readReply(env)
	}
	return true
}

var errNoResult = errors.New("the answer holds neither a result nor an error")

// readReply copies what an answer says.
func readReply(env *wire.Envelope) reply {
	switch {
	case env.Error != nil:
		rpc := new(jsonrpc.Error)
		if err := json.Unmarshal(env.Error, rpc); err != nil {
			return reply{err: err}
		}
		return reply{err: rpc}
	case env.Result == nil:
		return reply{err: errNoResult}
	}
	return reply{result: bytes.Clone(env.Result)}
}

// lineCourier carries calls over a connection whose messages the session's hook sees.
type lineCourier struct {
	s    *Session
	conn wire.Conn
}

func (c *lineCourier) ask(ctx context.Context, n uint64, _ string, msg []byte) (json.RawMessage, error) {
	got := c.s.replies.expect(n)
	defer c.s.replies.forget(n)
	err := c.conn.WriteRaw(ctx, msg)
	if err == nil {
		select {
		case r := <-got:
			return r.result, r.err
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.conn.Done():
			err = c.conn.Err()
		}
	}
	select { // an answer counts, whatever else has happened
	case r := <-got:
		return r.result, r.err
	default:
		return nil, err
	}
}

func (c *lineCourier) withdraw(ctx context.Context, n uint64) {
	msg := cancellation(n)
	if c.s.link.http == nil {
		_ = c.conn.WriteRaw(ctx, msg) // ctx has ended: it is queued if there is room
		return
	}
	c.s.errands.run(func(ctx context.Context) { _ = c.conn.WriteRaw(ctx, msg) }) // the server need not hear of it
}

func cancellation(n uint64) []byte {
	msg := appendExpressID([]byte(`{"jsonrpc":"2.0","method":"`+methodCancelled+`","params":{"requestId":`), n)
	return append(msg, `,"reason":"the caller gave up"}}`...)
}

// errands are what a session still does for calls that have ended.
type errands struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// run does f aside, within the time of a goodbye, unless the session is over.
func (e *errands) run(f func(context.Context)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		f(ctx)
	})
}

// finish lets no more begin, and waits.
func (e *errands) finish() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.wg.Wait()
}
