package mcp

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// expressLane is the lane of one client's session.
type expressLane struct {
	open  atomic.Bool // the handshake is over
	taken atomic.Int64

	mu        sync.Mutex
	calls     map[string]context.CancelFunc // those running, by the request's id as it stands in the message
	questions replies                       // to requests of the server's
}

// An expressCall is one of them.
type expressCall struct {
	*client
	id     string // raw JSON
	ctx    context.Context
	cancel context.CancelFunc
	req    request
}

// ride makes the lane see the messages of a connection before the SDK does. running counts the calls until their answers are on their way.
func (c *client) ride(conn wire.Conn, running *communicator.Gate) {
	if c.ep.o.NoExpress {
		return
	}
	conn.SetHook(func(_ []byte, env *wire.Envelope) bool {
		if c.stopExpress(env) {
			return true
		}
		if !running.Enter() {
			return false
		}
		call := c.startExpress(c.ctx, env)
		if call == nil {
			running.Leave()
			return false
		}
		conn.Hold()
		go func() { // running is waited for
			defer running.Leave()
			defer conn.Release()
			buf := answerBufs.Get().(*[]byte)
			*buf = call.answer((*buf)[:0])
			if err := conn.WriteRaw(c.ctx, *buf); err != nil {
				c.ep.o.Logger.Debug("an answer did not reach its client", "session", c.id, "call", call.req.meta.ID, "error", err)
			}
			if cap(*buf) <= 64<<10 {
				answerBufs.Put(buf)
			}
		}()
		return true
	})
}

var answerBufs = sync.Pool{New: func() any { return new([]byte) }}

// startExpress takes a message that is a plain tools/call; nil: the SDK is to have it. answer must follow.
func (c *client) startExpress(ctx context.Context, env *wire.Envelope) *expressCall {
	if string(env.Method) != methodCall || !c.lane.open.Load() || !plainID(env.ID) || env.Result != nil || env.Error != nil {
		return nil
	}
	name, args, meta, ok := scanCall(env.Params, c.identity.Trusted)
	if !ok {
		return nil
	}
	call := &expressCall{client: c, id: string(env.ID), req: newRequest(agent.OpTool, name, args, meta)}
	call.req.bound = true
	l := &c.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.calls[call.id]; twice {
		return nil
	}
	if l.calls == nil {
		l.calls = map[string]context.CancelFunc{}
	}
	call.ctx, call.cancel = context.WithCancel(ctx)
	if ctx != c.ctx {
		stop, cancel := context.AfterFunc(c.ctx, call.cancel), call.cancel
		call.cancel = func() { stop(); cancel() }
	}
	l.calls[call.id] = call.cancel
	l.taken.Add(1)
	c.ep.express.Add(1)
	return call
}

// stopExpress takes a message that cancels a call of the lane.
func (c *client) stopExpress(env *wire.Envelope) bool {
	if env.ID != nil || string(env.Method) != methodCancelled {
		return false
	}
	var id []byte
	if !wire.Object(env.Params, func(k, v []byte) bool { return string(k) != "requestId" || once(&id, v) }) {
		return false
	}
	c.lane.mu.Lock()
	cancel := c.lane.calls[string(id)]
	c.lane.mu.Unlock()
	if cancel == nil {
		return false
	}
	cancel() // the call ends by itself, and is answered as on the SDK's way
	return true
}

// answer makes the call, and appends the message that answers it. The call is over then.
func (x *expressCall) answer(dst []byte) (msg []byte) {
	defer func() {
		x.lane.mu.Lock()
		delete(x.lane.calls, x.id)
		x.lane.mu.Unlock()
		x.cancel()
	}()
	start := len(dst)
	defer func() {
		if p := recover(); p != nil {
			x.ep.o.Logger.ErrorContext(x.ctx, "panic in a request", "method", methodCall, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			msg = x.refusal(dst[:start], &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"})
		}
	}()
	ss, _ := x.parts()
	res, err := x.ep.serveRequest(x.ctx, ss, x.client, x.req)
	if u := (*unknownError)(nil); errors.As(err, &u) {
		return x.refusal(dst, rpcError(err, ""))
	}
	dst = append(append(append(dst, `{"jsonrpc":"2.0","id":`...), x.id...), `,"result":`...)
	body := len(dst)
	if err == nil {
		era, _ := x.spoken()
		if msg, err = appendToolResult(dst, res, era, x.identity.Trusted); err != nil {
			err = agent.Errorf(agent.CodeInternal, "encode the result: %w", err)
		} else {
			err = x.ep.fitsIn(len(msg) - body)
		}
	}
	if err != nil {
		if msg, err = appendJSON(dst[:body], toErrorResult(err)); err != nil { // details that are no JSON
			return x.refusal(dst[:start], &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()})
		}
	}
	return append(msg, '}')
}

// refusal appends a message that says a JSON-RPC error.
func (x *expressCall) refusal(dst []byte, err error) []byte {
	dst = append(append(append(dst, `{"jsonrpc":"2.0","id":`...), x.id...), `,"error":`...)
	dst, bad := appendJSON(dst, err)
	if bad != nil {
		dst = append(dst, `{"code":-32603,"message":"internal error"}`...)
	}
	return append(dst, '}')
}
