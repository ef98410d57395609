package calls

import (
	"context"
	"time"
)

// A Request is what carried a call: what its spans say about MCP and the broker. A zero value says
// nothing.
type Request struct {
	ID      string // of JSON-RPC
	Version string // of MCP
	Session string // see [Request.SetSession]
	Peer    string // host:port of the other end, where there is a network
	Network string // how the other end is connected: tcp or pipe
	Code    int    // of the JSON-RPC error that was the answer; 0: there was none
	// Queued is how long the call waited: for its turn, for an instance that is about to be there,
	// for its connection to take it, for others at the callee.
	Queued time.Duration
}

// sessionShown is how much of a session's ID is shown.
const sessionShown = 8

// SetSession sets the beginning of a session's ID: whoever knows the whole may use the session.
func (r *Request) SetSession(id string) { r.Session = id[:min(len(id), sessionShown)] }

type arrivedKey struct{}

// Arrived returns a context in which the call that r carried is served. nil: what carried an outer
// call is of no interest any more.
func Arrived(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, arrivedKey{}, r)
}

// ArrivedBy is what carried the call that is served in ctx; nil if nobody said it.
func ArrivedBy(ctx context.Context) *Request {
	r, _ := ctx.Value(arrivedKey{}).(*Request)
	return r
}

type sentKey struct{}

// Sent returns a context for a call that is to be sent, and a Request that the sender fills before
// it returns.
func Sent(ctx context.Context) (context.Context, *Request) {
	r := new(Request)
	return context.WithValue(ctx, sentKey{}, r), r
}

// SentBy is what the sender of the call in ctx is to fill; nil if nobody wants to know.
func SentBy(ctx context.Context) *Request {
	r, _ := ctx.Value(sentKey{}).(*Request)
	return r
}
