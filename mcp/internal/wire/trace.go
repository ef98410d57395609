package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// A Trace is the evidence about one call: whether its request was sent, and how the HTTP server
// answered. The SDK reduces all of it to one error code, and to ctx.Err() once the context is done.
//
// Its state goes from idle to sent when a writer claims the request, or to revoked when the caller
// asks first: a request is written, or reported as not sent, but never both. A writer that fails
// before its first byte goes back from sent to idle.
//
// Make one per attempt with [WithTrace] and pass the context to the SDK. Its methods may be called
// concurrently.
type Trace struct {
	// RequestID is the request's, once it was given one; 0: it was not.
	RequestID atomic.Int64

	timed  atomic.Bool               // how long the request waits in a queue is asked for
	queued atomic.Pointer[time.Time] // since when it does
	waited atomic.Int64              // how long it did, in nanoseconds

	state atomic.Int32
	late  atomic.Bool // nobody asks before the request has returned
	keep  atomic.Bool // the answer is kept
	mu    sync.Mutex
	http  *HTTPError
	got   *Envelope // the answer that was kept
	stand StandIn   // nil: an empty result
	drop  func()    // removes the request from those whose answers are kept
}

const (
	traceIdle int32 = iota
	traceSent
	traceRevoked
)

type traceKey struct{}

// WithTrace returns a context that carries a new Trace. It hides an outer one.
func WithTrace(ctx context.Context) (context.Context, *Trace) {
	t := &TracedContext{Context: ctx}
	return t, &t.Trace
}

// TracedContext is a context that carries its Trace, see [WithTrace].
type TracedContext struct {
	context.Context
	Trace Trace
}

// Value implements [context.Context].
func (t *TracedContext) Value(key any) any {
	if key == (traceKey{}) {
		return &t.Trace
	}
	return t.Context.Value(key)
}

func traceOf(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

// Sent reports whether a byte of the request may have been written. False is a promise: if the
// request still waits in a queue, Sent withdraws it. So call it when the call has returned, not
// before.
func (t *Trace) Sent() bool {
	return !t.state.CompareAndSwap(traceIdle, traceRevoked) && t.state.Load() == traceSent
}

// HTTPError is the last HTTP answer to the request if it has status 400 or above, or
// is a redirect that is not followed, else nil. A sent
// request that was [HTTPError.Refused] did not run.
func (t *Trace) HTTPError() *HTTPError {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.http
}

func (t *Trace) responded(e *HTTPError) {
	if t != nil {
		t.mu.Lock()
		t.http = e
		t.mu.Unlock()
	}
}

// A StandIn makes of a result what the SDK gets in its place.
type StandIn func(result json.RawMessage) json.RawMessage

// KeepAnswer makes the connection keep the answer to the next request, for [Trace.Answer]. The SDK
// gets what stand makes of the result, or an empty one if stand is nil.
func (t *Trace) KeepAnswer(stand StandIn) {
	t.mu.Lock()
	t.stand = stand
	t.mu.Unlock()
	t.keep.Store(true)
}

// Answer returns the answer that was kept, once; nil if there was none. Call it when the request is
// over.
func (t *Trace) Answer() *Envelope {
	t.mu.Lock()
	got, drop := t.got, t.drop
	t.got, t.drop = nil, nil
	t.mu.Unlock()
	if drop != nil {
		drop()
	}
	return got
}

// answered keeps a copy of an answer, if it is to be kept, and returns what stands in for it.
func (t *Trace) answered(e *Envelope) (instead json.RawMessage, ok bool) {
	if t == nil || !t.keep.Load() {
		return nil, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = &Envelope{ID: bytes.Clone(e.ID), Result: bytes.Clone(e.Result), Error: bytes.Clone(e.Error),
		damage: e.damage}
	if t.stand != nil && e.Result != nil {
		return t.stand(t.got.Result), true
	}
	return json.RawMessage(`{}`), true
}

// Response is the answer to request id as the SDK gets it. t, which may be nil, keeps the answer if
// it is to, and the SDK then gets a stand-in. An answer that the SDK could not decode is an
// error.
func (e *Envelope) Response(id int64, t *Trace) *jsonrpc.Response {
	out := &jsonrpc.Response{}
	out.ID, _ = jsonrpc.MakeID(float64(id)) // fails for other types only
	if instead, kept := t.answered(e); kept {
		out.Result = instead
		return out
	}
	result, err := e.ReadAnswer()
	out.Result = result
	switch err := err.(type) { //nolint:errorlint // ReadAnswer returns no others
	case *AnswerError:
		out.Error = &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: err.Error()}
	case *RPCError:
		out.Error = err.rpc
	}
	return out
}

// Time has the time that the request waits in a queue measured, for [Trace.Waited].
func (t *Trace) Time() { t.timed.Store(true) }

// Waited is how long the request waited in a queue until it was written.
func (t *Trace) Waited() time.Duration { return time.Duration(t.waited.Load()) }

// queue notes that the request waits from now on.
func (t *Trace) queue() {
	if t != nil && t.timed.Load() {
		now := time.Now()
		t.queued.Store(&now)
	}
}

// Claim implements [post.Evidence]. Everything that writes the request calls it first.
func (t *Trace) Claim() (own, ok bool) {
	if t == nil {
		return false, true
	}
	if since := t.queued.Load(); since != nil {
		t.waited.Store(int64(time.Since(*since)))
	}
	own = t.state.CompareAndSwap(traceIdle, traceSent)
	return own, own || t.state.Load() == traceSent
}

// Undo implements [post.Evidence].
func (t *Trace) Undo(own bool) {
	if own {
		t.state.CompareAndSwap(traceSent, traceIdle)
	}
}
