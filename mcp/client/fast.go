package client

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// FastCalls is the number of calls that took the fast path, so far.
func (s *Session) FastCalls() int64 { return s.fastCalls.Load() }

// callFast calls a tool beside the SDK. errNotTaken: nothing has happened.
func (s *Session) callFast(ctx context.Context, out request, name string, arguments json.RawMessage) (codec.Response,
	error) {
	if s.stateless() {
		// as the SDK does in later rounds of the call: servers bind a call's state to what it says
		arguments = codec.Compact(arguments)
	}
	id, answer := s.pending.Begin()
	defer s.pending.End(id)
	buf := messages.Get().(*[]byte)
	*buf = codec.AppendCall(ctx, (*buf)[:0], id, name, arguments, codec.RequestMeta{Call: out.Call,
		Trusted: s.target.Trusted, Baggage: s.target.Baggage, Progress: out.token, Members: s.statelessMeta})
	s.fastCalls.Add(1)
	out.note.RequestID.Store(int64(id))
	resp, err := s.fast.call(ctx, id, answer, name, *buf)
	if cap(*buf) <= 64<<10 {
		messages.Put(buf)
	}
	if err != nil {
		if ctx.Err() != nil && out.note.Sent() && !s.keepCancels.Load() {
			s.fast.cancel(ctx, id)
		}
		if errors.Is(err, errNotTaken) {
			s.fastCalls.Add(-1)
		}
	}
	return resp, err
}

// messages are buffers: no sender keeps what it has sent.
var messages = sync.Pool{New: func() any { return new([]byte) }}

// recordDiscover keeps what the SDK's client says of itself when it asks the server for its
// versions: calls on the fast path say the same.
func (s *Session) recordDiscover(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		if method == codec.MethodDiscover {
			meta := sdk.Meta{sdk.MetaKeyLogLevel: s.logLevel()}
			for k, v := range r.GetParams().GetMeta() {
				meta[k] = v
			}
			if raw, err := json.Marshal(meta); err == nil {
				s.statelessMeta = raw[1 : len(raw)-1]
			}
		}
		return next(ctx, method, r)
	}
}

// discovers asks a server of protocol 2026-07-28, which has no pings, for its versions in the place
// of one. The SDK cannot be given the answer to that: it gets errAnswered.
func (s *Session) discovers(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		cs, ok := r.GetSession().(*sdk.ClientSession)
		if _, wanted := ctx.Value(discoverKey{}).(bool); !ok || !wanted || method != codec.MethodPing {
			return next(ctx, method, r)
		}
		meta := sdk.Meta{}
		if err := json.Unmarshal(append(append([]byte("{"), s.statelessMeta...), '}'), &meta); err != nil {
			return nil, err
		}
		ask := &sdk.DiscoverRequest{Session: cs, Params: &sdk.DiscoverParams{Meta: meta}}
		_, err := next(ctx, codec.MethodDiscover, ask)
		if err == nil {
			err = errAnswered
		}
		return nil, err
	}
}

type discoverKey struct{}

var errAnswered = errors.New("the server has answered")

// ping asks a server for a sign of life.
func ping(ctx context.Context, s *Session) error {
	if !s.stateless() {
		return s.sdk.Ping(ctx, nil)
	}
	err := s.sdk.Ping(context.WithValue(ctx, discoverKey{}, true), nil)
	if errors.Is(err, errAnswered) {
		return nil
	}
	return err
}

// takesFast reports whether a call can take the fast path. With protocol 2026-07-28 the SDK's
// client carries the answers to questions, and over HTTP adds headers for arguments that a tool
// wants there.
func (s *Session) takesFast(out request, name string) bool {
	if s.fast == nil || out.responses != nil || out.state != "" {
		return false
	}
	return s.link.http == nil || !s.stateless() || plainName(name) && !(*s.headerTools.Load())[name]
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

// connSender carries calls over a connection whose messages the session's hook sees.
type connSender struct {
	conn  wire.Conn
	after *background // nil: a cancellation is queued without waiting
}

func (c *connSender) call(ctx context.Context, _ codec.FastID, answer <-chan codec.Response, _ string,
	msg []byte) (codec.Response, error) {
	err := c.conn.WriteRaw(ctx, msg)
	if err == nil {
		select {
		case r := <-answer:
			return r, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.conn.Done():
			err = c.conn.Err()
		}
	}
	select { // an answer counts, whatever else has happened
	case r := <-answer:
		return r, nil
	default:
		return codec.Response{}, err
	}
}

func (c *connSender) cancel(ctx context.Context, id codec.FastID) {
	msg := cancellation(id)
	if c.after == nil {
		_ = c.conn.WriteRaw(ctx, msg) // ctx has ended: it is queued if there is room
		return
	}
	c.after.run(func(ctx context.Context) { _ = c.conn.WriteRaw(ctx, msg) }) // it may be lost
}

func cancellation(id codec.FastID) []byte {
	msg := id.Append([]byte(`{"jsonrpc":"2.0","method":"` + wire.MethodCancelled + `","params":{"requestId":`))
	return append(msg, `,"reason":"the caller gave up"}}`...)
}
