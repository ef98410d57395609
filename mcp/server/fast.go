package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/stack"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A fastCall is a call of a tool on the fast path.
type fastCall struct {
	*session
	id     string // raw JSON
	ctx    context.Context
	run    runningCall
	req    request
	held   int // bytes of the session's memory, for its result
	status int // over HTTP, what protocol 2026-07-28 wants beside some errors; 0: none
}

// hookFast makes the fast path see the messages of a connection before the SDK does. What it leaves
// to the SDK is mended for that. running counts the calls until their answers are on their way.
func (c *session) hookFast(conn wire.Conn, running *calls.Gate) {
	conn.SetHook(func(_ []byte, env *wire.Envelope) bool {
		if c.ep.o.NoFastPath || !running.Enter() {
			mend(env)
			return false
		}
		if env.Method != nil && (c.fast.busy(env.ID) || env.ID != nil && conn.Busy(env)) {
			defer running.Leave()
			// A client that is gone misses nothing. One that does not read is read no further.
			_ = conn.WriteRaw(c.ctx, wire.InUse([]byte(env.IDText())))
			return true
		}
		call := c.readFast(env)
		if call == nil {
			running.Leave()
			mend(env)
			return false
		}
		if !conn.Hold() {
			defer running.Leave()
			_ = conn.WriteRaw(c.ctx, call.tooMany()) // as above
			return true
		}
		if err := call.start(c.ctx, conn.WriteRaw); err != nil {
			conn.Release()
			running.Leave()
			return false // the session has ended: the SDK knows what to say
		}
		go func() { // running is waited for
			calls.GrowStack()
			defer running.Leave()
			defer conn.Release()
			buf := answerBufs.Get().(*[]byte)
			*buf = call.answer((*buf)[:0])
			if call.run.cancelled.Load() {
				c.memory.Release(call.held)
				return
			}
			c.memory.Hand(call.held)                                          // to the connection
			if err := conn.WriteRaw(context.Background(), *buf); err != nil { // ends with the connection
				c.ep.o.Logger.Debug("an answer did not reach its client", "session", c.id, "call", call.req.meta.ID,
					"error", err)
			}
			if cap(*buf) <= 64<<10 {
				answerBufs.Put(buf)
			}
		}()
		return true
	})
}

var answerBufs = sync.Pool{New: func() any { return new([]byte) }}

// readFast reads a message that is a plain tools/call; nil: the SDK is to have it.
func (c *session) readFast(env *wire.Envelope) *fastCall {
	if string(env.Method) != codec.MethodCall || !c.fast.ready() || !codec.PlainID(env.ID) || env.Result != nil ||
		env.Error != nil {
		return nil
	}
	name, args, meta, said, ok := codec.ScanCall(env.Params, c.identity.Trusted)
	if !ok {
		return nil
	}
	call := &fastCall{session: c, id: string(env.ID), req: newRequest(agent.OpTool, name, args, meta)}
	call.req.bound, call.req.id = true, strings.Trim(call.id, `"`)
	if said.Empty() && c.fast.open.Load() {
		return call
	}
	if said.Empty() || !c.fast.stateless.Load() {
		return nil
	}
	round, who := c.ep.newRound(&said)
	if round == nil {
		return nil
	}
	c.setStateless(who.client)
	call.req.round = round
	return call
}

var (
	errDuplicateID  = errors.New("duplicate in-flight request ID")
	errSessionEnded = errors.New("the session has ended")
)

// start begins the call, which ends with ctx and with the session. answer must follow. send sends
// what the call has to tell before.
func (x *fastCall) start(ctx context.Context, send func(context.Context, []byte) error) error {
	if x.req.round != nil {
		x.req.round.send = send
	}
	l := &x.fast
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.calls[x.id]; twice {
		return errDuplicateID
	}
	if l.over {
		return errSessionEnded
	}
	if l.calls == nil {
		l.calls = map[string]*runningCall{}
	}
	x.ctx, x.run.cancel = context.WithCancel(ctx)
	l.calls[x.id] = &x.run
	x.ep.fastCalls.Add(1)
	return nil
}

// answer makes the call, and appends the message that answers it. The call is over then.
func (x *fastCall) answer(dst []byte) (msg []byte) {
	defer func() {
		x.fast.mu.Lock()
		delete(x.fast.calls, x.id)
		x.fast.mu.Unlock()
		x.run.cancel()
	}()
	start := len(dst)
	defer func() {
		if p := recover(); p != nil {
			x.ep.o.Logger.ErrorContext(x.ctx, "panic in a request", "method", codec.MethodCall, "panic", fmt.Sprint(p),
				"stack", stack.OfPanic())
			msg = x.refusal(dst[:start], &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"})
		}
	}()
	ss, _ := x.parts()
	s := x.format()
	res, err := x.ep.serveRequest(x.ctx, ss, x.session, &x.req)
	if err == nil {
		if x.held, err = x.ep.room(x.session, res); x.held > 64<<10 {
			dst = slices.Grow(dst, x.held+1024)
		}
	}
	dst = append(append(append(dst, `{"jsonrpc":"2.0","id":`...), x.id...), `,"result":`...)
	if msg, err = x.ep.appendAnswer(dst, res, s, err); err != nil {
		return x.refusal(dst[:start], err)
	}
	return append(msg, '}')
}

// tooMany refuses a call of a session with too many requests that are not answered.
func (x *fastCall) tooMany() []byte {
	err := x.ep.refused(x.session.ctx, x.session, &x.req, agent.Refusedf(agent.CodeResourceExhausted,
		"%d requests of this session have no answer yet, or their answers were not read (mcp.max_session_calls)",
		x.ep.o.Limits.unanswered()))
	dst := append(append([]byte(`{"jsonrpc":"2.0","id":`), x.id...), `,"result":`...)
	if out, bad := x.ep.appendAnswer(dst, nil, x.format(), err); bad == nil {
		return append(out, '}')
	}
	return x.refusal(nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: err.Error()})
}

// format is that of the answer.
func (x *fastCall) format() codec.ResultFormat {
	s := codec.ResultFormat{Version: codec.Version20260728, Trusted: x.identity.Trusted}
	if x.req.round == nil {
		s.Version, _ = x.protocol()
	}
	return s
}

// appendAnswer appends the result that answers a call of a tool. An error is one of the protocol.
func (e *endpoint) appendAnswer(dst []byte, res *agent.Result, s codec.ResultFormat, err error) ([]byte, error) {
	if err == nil && len(res.Raw) == 0 {
		if msg, ok := codec.AppendToolResult(dst, res, s, e.selfJSON); ok {
			if err = e.fitsIn(len(msg) - len(dst)); err == nil {
				return msg, nil
			}
		}
	}
	out, err := e.toolResult(res, s, err)
	if err != nil {
		return nil, err
	}
	switch out := out.(type) {
	case *codec.RawResult:
		return codec.AppendOneLine(dst, out.JSON), nil
	case *sdk.CallToolResult:
		if s.Version > codec.Version20251125 {
			e.addServerInfo(out)
		}
	}
	if dst, err = codec.AppendJSON(dst, out); err != nil { // its metadata is no JSON, or the details of an error
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()}
	}
	return dst, nil
}

// refusal appends a message that says a JSON-RPC error.
func (x *fastCall) refusal(dst []byte, err error) []byte {
	if rpc := (*jsonrpc.Error)(nil); x.req.round != nil && errors.As(err, &rpc) {
		switch rpc.Code {
		case jsonrpc.CodeInvalidParams, sdk.CodeMissingRequiredClientCapabilities:
			x.status = http.StatusBadRequest
		case jsonrpc.CodeMethodNotFound:
			x.status = http.StatusNotFound
		}
	}
	begin := len(dst)
	dst = append(append(append(dst, `{"jsonrpc":"2.0","id":`...), x.id...), `,"error":`...)
	dst, bad := codec.AppendJSON(dst, err)
	if bad != nil {
		dst = append(dst, `{"code":-32603,"message":"internal error"}`...)
	}
	return append(dst[:begin], wire.ShowError(append(dst[begin:], '}'))...)
}
