package wire

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// A Trace gathers what the connections of this package learn about one call: whether its request
// was sent, and what HTTP said. The SDK reduces all of it to one error code, and to ctx.Err() once
// the context is done.
//
// Make one per attempt with [WithTrace] and pass the context to the SDK. Its methods may be called
// concurrently.
type Trace struct {
	state atomic.Int32
	late  atomic.Bool // nobody asks before the request has returned
	keep  atomic.Bool // what the request is answered with
	mu    sync.Mutex
	http  *HTTPError
	got   *Envelope // what the request was answered with, if that is kept
	drop  func()    // forgets a request that was not answered
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

// Sent reports whether a byte of the request may have been written. False is a promise: a request
// that still waits in a queue is withdrawn by the question. So ask once the call has returned, not
// before.
func (t *Trace) Sent() bool {
	return !t.state.CompareAndSwap(traceIdle, traceRevoked) && t.state.Load() == traceSent
}

// HTTPError is the last HTTP answer to the request if that was no success, else nil. A sent request
// that was [HTTPError.Refused] did not run.
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

// KeepAnswer makes a connection keep what the next request is answered with, for Answer. The SDK
// gets an empty result in its place.
func (t *Trace) KeepAnswer() { t.keep.Store(true) }

// Answer is the answer that was kept, nil if there was none. Call it when the request is over.
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

// answered keeps a copy of an answer, if it is to be kept.
func (t *Trace) answered(e *Envelope) bool {
	if t == nil || !t.keep.Load() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.got = &Envelope{ID: bytes.Clone(e.ID), Result: bytes.Clone(e.Result), Error: bytes.Clone(e.Error)}
	return true
}

// Claim implements [post.Evidence], for all who write the request.
func (t *Trace) Claim() (own, ok bool) {
	if t == nil {
		return false, true
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

// callTrace is the Trace of ctx if msg is a call: what else is sent on its behalf is not what its
// caller asks about.
func callTrace(ctx context.Context, msg jsonrpc.Message) *Trace {
	if req, ok := msg.(*jsonrpc.Request); ok && req.IsCall() {
		return traceOf(ctx)
	}
	return nil
}
