package client

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
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
		arguments = codec.Compact(arguments)
	}
	n := s.replies.Next()
	var room [512]byte
	meta, err := codec.AppendRequestMeta(ctx, room[:0], out.Call, s.target.Trusted, out.token, s.says)
	if err != nil {
		return nil, err
	}
	var id [32]byte
	buf := messages.Get().(*[]byte)
	*buf = codec.AppendCall((*buf)[:0], codec.AppendExpressID(id[:0], n), name, arguments, meta)
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
	return codec.DecodeToolResult(raw, s.target.Trusted)
}

// messages are buffers: no courier keeps what it has sent.
var messages = sync.Pool{New: func() any { return new([]byte) }}

// lineCourier carries calls over a connection whose messages the session's hook sees.
type lineCourier struct {
	s    *Session
	conn wire.Conn
}

func (c *lineCourier) ask(ctx context.Context, n uint64, _ string, msg []byte) (json.RawMessage, error) {
	got := c.s.replies.Expect(n)
	defer c.s.replies.Forget(n)
	err := c.conn.WriteRaw(ctx, msg)
	if err == nil {
		select {
		case r := <-got:
			return r.Result, r.Err
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.conn.Done():
			err = c.conn.Err()
		}
	}
	select { // an answer counts, whatever else has happened
	case r := <-got:
		return r.Result, r.Err
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
	msg := codec.AppendExpressID([]byte(`{"jsonrpc":"2.0","method":"`+codec.MethodCancelled+`","params":{"requestId":`), n)
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
		ctx, cancel := context.WithTimeout(context.Background(), codec.Goodbye)
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

// overhear keeps what the SDK's client says of itself when it asks the server for its versions:
// calls on the lane say the same.
func (s *Session) overhear(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		if method == codec.MethodDiscover {
			meta := sdk.Meta{sdk.MetaKeyLogLevel: s.logLevel()}
			for k, v := range r.GetParams().GetMeta() {
				meta[k] = v
			}
			if raw, err := json.Marshal(meta); err == nil {
				s.says = raw[1 : len(raw)-1]
			}
		}
		return next(ctx, method, r)
	}
}

// offer notes what the server offers.
func (s *Session) offer(info *agent.Info) {
	heads := map[string]bool{}
	for _, t := range info.Tools {
		if codec.Headed(t.InputSchema) {
			heads[t.Name] = true
		}
	}
	s.heads.Store(&heads)
	s.info.Store(info)
}

// rides reports whether a call can take the lane. In the newest era the SDK's client carries the
// answers to questions, and over HTTP adds headers for arguments that a tool wants there.
func (s *Session) rides(out outgoing, name string) bool {
	if s.lane == nil || out.responses != nil || out.state != "" {
		return false
	}
	return s.link.http == nil || !s.newest() || plainName(name) && !(*s.heads.Load())[name]
}

// plainName reports whether a name can stand in a header.
func plainName(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return name != ""
}
