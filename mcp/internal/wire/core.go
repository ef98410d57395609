package wire

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// core is what all connections share: the queue of inbound messages for the SDK's Read, the inbound
// calls that are not answered yet, and why the connection ended.
//
// A connection ends in one of two ways. After end, Read still returns what is queued: the peer sent
// it before it left. After abort it does not: this side has closed the connection, and what is
// queued must not start work.
type core struct {
	log       *slog.Logger
	hook      Hook
	in        chan jsonrpc.Message
	done      chan struct{} // closed when err is set: nothing more comes in
	aborted   atomic.Bool   // what is queued for Read is dropped
	connected atomic.Bool

	inflight                  // its mu guards what follows too
	err      error            // why nothing more comes in
	kept     map[int64]*Trace // by request: who keeps the answer
}

func (c *core) init(log *slog.Logger) {
	if log == nil {
		log = slog.Default()
	}
	c.log, c.in, c.done = log, make(chan jsonrpc.Message, 16), make(chan struct{})
}

var errConnected = errors.New("a connection can be connected only once")

func (c *core) connect() error {
	if c.connected.Swap(true) {
		return errConnected
	}
	return nil
}

// SetHook implements [Conn].
func (c *core) SetHook(h Hook) { c.hook = h }

// Done implements [Conn].
func (c *core) Done() <-chan struct{} { return c.done }

// Err implements [Conn].
func (c *core) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end lets Read return what is queued, then err. The first error stays.
func (c *core) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(err)
}

func (c *core) endLocked(err error) {
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// abort lets Read return err at once.
func (c *core) abort(err error) {
	c.aborted.Store(true)
	c.end(err)
}

// abortIdle aborts if no call is in flight. The check and the end are one step: a call that comes
// later finds the connection closed and is not lost.
func (c *core) abortIdle(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idleLocked() {
		return false
	}
	c.aborted.Store(true)
	c.endLocked(err)
	return true
}

// receive offers a message to the hook; what is left is for the SDK. The message is nil if the hook
// took it. scanned is what [Envelope.Scan] said of it.
func (c *core) receive(raw []byte, env *Envelope, scanned bool) (jsonrpc.Message, error) {
	if scanned && c.hook != nil && c.hook(raw, env) {
		return nil, nil
	}
	if id, ok := env.AnswerID(); ok && scanned {
		return env.Response(id, c.keeper(id)), nil
	}
	if scanned {
		raw = env.HideID(raw, c.open)
	}
	msg, err := decode(raw, env, scanned)
	noteID(msg)
	if id, ok := cancelledID(msg); ok {
		c.cancel(id)
	}
	if err != nil && env.Damaged(raw, err) {
		if msg, ours := c.answer(raw, env); ours {
			return msg, nil
		}
	}
	if scanned || msg == nil || env.fill(msg) != nil {
		return msg, err
	}
	// A message that is written in an unusual way: the hook gets it as the SDK reads it.
	switch msg := msg.(type) {
	case *jsonrpc.Response:
		if raw, bad := jsonrpc.EncodeMessage(msg); bad == nil {
			if out, ours := c.answer(raw, env); ours {
				return out, nil
			}
		}
	case *jsonrpc.Request:
		if raw := env.Encode(); raw != nil && c.hook != nil && c.hook(raw, env) {
			return nil, nil
		}
		msg.Params = env.Params
	}
	return msg, nil
}

// answer offers an answer to the hook; what is left is for the SDK, if the request may be ours.
func (c *core) answer(raw []byte, env *Envelope) (_ jsonrpc.Message, ours bool) {
	if c.hook != nil && c.hook(raw, env) {
		return nil, true
	}
	if id, ok := env.AnswerID(); ok {
		return env.Response(id, c.keeper(id)), true
	}
	return nil, false
}

// accept receives what a server sends, a message or, in protocol 2025-03-26, a JSON array of
// messages, and queues it. A message of an array that cannot be read costs itself only.
func (c *core) accept(ctx context.Context, data []byte, env *Envelope) error {
	return c.acceptScanned(ctx, data, env, env.Scan(data))
}

// acceptScanned is accept for what [Envelope.Scan] was called for.
func (c *core) acceptScanned(ctx context.Context, data []byte, env *Envelope, scanned bool) error {
	one := func(raw []byte, scanned bool) error {
		msg, err := c.receive(raw, env, scanned)
		if err == nil && msg != nil && errors.Is(c.push(ctx, msg), errInUse) { // else the connection has ended
			c.log.Warn("a request of the server gets no answer", "reason", errInUse, "id", env.IDText())
		}
		return err
	}
	if len(data) == 0 || data[0] != '[' {
		return one(data, scanned)
	}
	good, bad, why := 0, []byte(nil), error(nil)
	if !rawjson.Array(data, func(item []byte) bool {
		if err := one(item, env.Scan(item)); err == nil {
			good++
		} else {
			bad, why = item, err
		}
		return true
	}) {
		return errBatch
	}
	if good == 0 {
		return errNoBatch
	}
	if why != nil {
		c.log.Warn("skipped a part of a batch that is not an MCP message", "data", clip(bad, 200), "reason", why)
	}
	return nil
}

// passOver notes that a message was passed over, and fails the call that it answers. It returns the
// message's id, nil if that was not found.
func (c *core) passOver(large *TooLargeError) (id []byte) {
	env, answer := large.Answer()
	what := "the answer to a call, which fails"
	switch {
	case large.outline.request && env.ID != nil:
		what = "a request"
	case large.outline.request:
		what = "a notification"
	case !answer:
		what = "nobody knows, it begins " + strconv.Quote(clip(large.start, maxStart)) +
			"; a call that waits for it fails when its time is over"
	}
	c.log.Warn("passed over a message that is larger than the limit", "bytes", large.Size, "limit", large.Limit, "is",
		what, "id", string(env.ID))
	if answer {
		if msg, ours := c.answer(nil, env); ours && msg != nil {
			_ = c.push(context.Background(), msg) // ends with the connection
		}
	}
	return env.ID
}

// outbound encodes a message of the SDK's and finds the Trace of its call. A result over the limit
// is replaced by an error answer, or the other side would wait until its deadline; the error then
// comes with data to send.
func (c *core) outbound(ctx context.Context, msg jsonrpc.Message, limit int) (data []byte, t *Trace, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, &NotSentError{Cause: err}
	}
	if data, err = jsonrpc.EncodeMessage(msg); err != nil {
		return nil, nil, &NotSentError{Cause: err}
	}
	data = ShowError(ShowID(data))
	resp, answer := msg.(*jsonrpc.Response)
	if size := len(data); size > limit {
		err = &NotSentError{Cause: &TooLargeError{Size: size, Limit: limit}}
		if !answer {
			return nil, nil, err
		}
		data = ShowID(tooLargeReply(resp, size, limit))
	}
	// Only a call has a Trace: what else is sent on its behalf, such as its cancellation, is not
	// what the caller asks about.
	if req, ok := msg.(*jsonrpc.Request); ok && req.IsCall() {
		t = traceOf(ctx)
		c.keepAnswer(t, req)
	}
	return data, t, err
}

// keepAnswer notes that t keeps the answer to req, if it does.
func (c *core) keepAnswer(t *Trace, req *jsonrpc.Request) {
	n, ok := req.ID.Raw().(int64)
	if !ok || t == nil {
		return
	}
	t.RequestID.Store(n)
	if !t.keep.Load() {
		return
	}
	t.mu.Lock()
	t.drop = func() { _ = c.keeper(n) }
	t.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[int64]*Trace{}
	}
	c.kept[n] = t
}

// keeper returns the Trace that keeps the answer to request n, once; nil if there is none.
func (c *core) keeper(n int64) *Trace {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.kept[n]
	delete(c.kept, n)
	return t
}

// MethodListen is a call that lasts as long as its client wants. It does not count as in flight: no
// session would ever be idle.
const MethodListen = "subscriptions/listen"

// errInUse says that the id of a request is that of one in flight.
var errInUse = errors.New("the id is that of a request that is not answered yet")

// InUse is the answer to a request with such an id. It has none: it would be taken for the answer
// to the other.
func InUse(id []byte) []byte {
	return errorReply(nil, jsonrpc.CodeInvalidRequest, "the id %s is that of a request that is not answered yet",
		clip(id, 100))
}

// push queues a message for Read, and counts it if it is a call. It waits while the queue is full,
// no longer than the connection and ctx last. errInUse: it is a call like one in flight.
func (c *core) push(ctx context.Context, msg jsonrpc.Message) error {
	req, _ := msg.(*jsonrpc.Request)
	call := req != nil && req.IsCall() && req.Method != MethodListen
	if call {
		c.mu.Lock()
		if c.err != nil {
			defer c.mu.Unlock()
			return c.err
		}
		first := c.beginLocked(req.ID)
		c.mu.Unlock()
		if !first {
			return errInUse
		}
	}
	select {
	case c.in <- msg:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		if call {
			c.answered(req.ID)
		}
		return ctx.Err()
	}
}

// Read implements [sdk.Connection].
func (c *core) Read(ctx context.Context) (jsonrpc.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.aborted.Load() {
		return nil, c.Err()
	}
	select {
	case msg := <-c.in:
		return msg, nil
	case <-c.done:
		if !c.aborted.Load() {
			select {
			case msg := <-c.in:
				return msg, nil
			default:
			}
		}
		return nil, c.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
