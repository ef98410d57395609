package wire

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// core is what every connection does towards the SDK: it queues inbound messages for Read, knows
// which inbound calls are not answered yet, and remembers why the connection ended.
type core struct {
	log  *slog.Logger
	hook Hook
	in   chan jsonrpc.Message
	done chan struct{} // closed when err is set: nothing more comes in
	// aborted: what is queued for Read is void as well.
	aborted   atomic.Bool
	connected atomic.Bool

	mu    sync.Mutex
	err   error
	calls map[jsonrpc.ID]struct{}
	kept  map[int64]*Trace // requests of the SDK's whose answers are kept
	holds int
	idle  chan struct{} // closed when the last call is answered; nil while nobody waits
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

// end notes that nothing more comes in; Read still returns what is queued, then err. The first
// error stays.
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

// abort is end at once: what is queued is dropped.
func (c *core) abort(err error) {
	c.aborted.Store(true)
	c.end(err)
}

// abortIdle aborts if no call is in flight. A call that comes later finds the connection closed.
func (c *core) abortIdle(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls)+c.holds > 0 {
		return false
	}
	c.aborted.Store(true)
	c.endLocked(err)
	return true
}

// receive scans one message and offers it to the hook; what is left is for the SDK. A nil message
// was taken. An answer is offered however it is written: nobody else may know its request.
func (c *core) receive(raw []byte, env *Envelope) (jsonrpc.Message, error) {
	scanned := env.Scan(raw)
	if scanned && c.hook != nil && c.hook(raw, env) {
		return nil, nil
	}
	if id, ok := env.AnswerID(); ok && scanned {
		return env.Response(id, c.keeper(id)), nil
	}
	msg, err := decode(raw, env, scanned)
	resp, answer := msg.(*jsonrpc.Response)
	if !answer || scanned || env.fill(resp) != nil {
		return msg, err
	}
	if raw, bad := jsonrpc.EncodeMessage(resp); bad == nil && c.hook != nil && c.hook(raw, env) {
		return nil, nil
	}
	if id, ok := env.AnswerID(); ok {
		return env.Response(id, c.keeper(id)), nil
	}
	return msg, nil
}

// receiveBatch receives the messages of a JSON array, as servers of protocol 2025-03-26 may send
// them. One that cannot be read costs itself only.
func (c *core) receiveBatch(raw []byte, push func(jsonrpc.Message)) error {
	var env Envelope
	if !rawjson.Array(raw, func(item []byte) bool {
		msg, err := c.receive(item, &env)
		switch {
		case err != nil:
			c.log.Warn("skipped a part of a batch that is not an MCP message", "data", clip(item, 200), "reason", err)
		case msg != nil:
			push(msg)
		}
		return true
	}) {
		return errors.New("a batch that is not a JSON array")
	}
	return nil
}

// keepAnswer notes that the answer to a request is to be kept.
func (c *core) keepAnswer(t *Trace, msg jsonrpc.Message) {
	req, ok := msg.(*jsonrpc.Request)
	if !ok || t == nil || !t.keep.Load() {
		return
	}
	n, ok := req.ID.Raw().(int64)
	if !ok {
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

// keeper takes whoever keeps the answer to request n; nil: nobody does.
func (c *core) keeper(n int64) *Trace {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.kept[n]
	delete(c.kept, n)
	return t
}

// methodListen is a call that lasts as long as its client wants: nobody waits for its end.
const methodListen = "subscriptions/listen"

// push queues a message for Read. It waits while the queue is full; it fails when the connection or
// ctx ends.
func (c *core) push(ctx context.Context, msg jsonrpc.Message) error {
	req, _ := msg.(*jsonrpc.Request)
	call := req != nil && req.IsCall() && req.Method != methodListen
	if call {
		c.mu.Lock()
		if c.err != nil {
			defer c.mu.Unlock()
			return c.err
		}
		if c.calls == nil {
			c.calls = make(map[jsonrpc.ID]struct{})
		}
		c.calls[req.ID] = struct{}{}
		c.mu.Unlock()
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

// answered notes that an inbound call is over.
func (c *core) answered(id jsonrpc.ID) {
	c.mu.Lock()
	delete(c.calls, id)
	c.settleLocked()
	c.mu.Unlock()
}

// Hold implements [Conn].
func (c *core) Hold() {
	c.mu.Lock()
	c.holds++
	c.mu.Unlock()
}

// Release implements [Conn].
func (c *core) Release() {
	c.mu.Lock()
	c.holds--
	c.settleLocked()
	c.mu.Unlock()
}

func (c *core) settleLocked() {
	if c.idle != nil && len(c.calls)+c.holds == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// InFlight implements [Conn].
func (c *core) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls) + c.holds
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Idle implements [Conn]: it is closed at the next moment without a call in flight.
func (c *core) Idle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls)+c.holds == 0 {
		return closedChan
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	return c.idle
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

// Response is the answer to request id for the SDK, whose call ends with it. What t keeps is not
// the SDK's affair: it gets an empty result. What it could not decode is an error.
func (e *Envelope) Response(id int64, t *Trace) *jsonrpc.Response {
	out := &jsonrpc.Response{Result: json.RawMessage(`{}`)}
	out.ID, _ = jsonrpc.MakeID(float64(id)) // numbers are fine
	if t.answered(e) {
		return out
	}
	result, err := e.ReadAnswer()
	if bad := (*AnswerError)(nil); errors.As(err, &bad) {
		err = &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()}
	}
	out.Result, out.Error = result, err
	return out
}
