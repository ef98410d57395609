// Package wire carries MCP messages: the connections that openmas puts under the official SDK.
//
// [Line] is newline-delimited JSON over a reader and a writer (stdio, pipes); [SSEServer] and
// [SSEClient] are the two ends of HTTP+SSE of protocol 2024-11-05. Each is an [sdk.Connection] and
// its own [sdk.Transport]. The program at the other end, client or server, is the peer.
//
// Beyond what the SDK's connections do, these bound what a peer can cost (frames, queues, sessions,
// time), report whether a request that failed was sent ([NotSentError], [Trace]), survive garbage,
// and scan each message once ([Envelope]) so that a [Hook] can take it before the SDK decodes it.
// For streamable HTTP, where the SDK's client cannot be wrapped, [NewHTTPClient] gathers the same
// evidence below it.
package wire

import (
	"context"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// DefaultMaxFrame is the largest message of a connection, in bytes, in either direction.
	DefaultMaxFrame = 16 << 20
	// DefaultMaxBody is the largest body of an HTTP POST, in bytes.
	DefaultMaxBody = 4 << 20

	defaultMaxQueue = 1 << 20 // bytes that wait for the peer before writers wait too
	defaultSSEQueue = 256 << 10
)

// A Hook gets each inbound message before the SDK, whole and with its envelope; both are valid only
// during the call. True means that the hook took the message, and the SDK does not get it. Else the
// SDK gets it with the params or the result that the hook left in the envelope. A message with an
// unusual envelope comes as the SDK reads it. Of a batch that a server receives, only the answers
// come.
//
// The goroutine that reads calls the hook (on [SSEConn] and [SSEClient], those of concurrent POSTs
// as well): it must not block, except to answer a peer that asks for more than it reads the answers
// of, and must not close the connection or call its SDK session.
type Hook func(raw []byte, env *Envelope) (taken bool)

// Conn is what all connections of this package have in common. Its methods may be called
// concurrently, except SetHook.
type Conn interface {
	sdk.Connection
	sdk.Transport // may be connected once; the connection is the Conn itself

	// SetHook sets the hook. Call it before Connect.
	SetHook(Hook)
	// WriteRaw sends one message that is already encoded: a JSON object without line breaks. Errors
	// are those of Write.
	WriteRaw(ctx context.Context, msg []byte) error
	// Hold counts a call in flight that the SDK does not know, because a hook took it; Release ends
	// it. False: it is not counted, since so many requests have no answer yet that it is to be
	// refused. [LineOptions.Linger] and [SSEServerOptions.Lifetime] wait for these calls too.
	Hold() bool
	Release()
	// Busy reports whether a call with the id of a message is in flight on the SDK's side.
	Busy(*Envelope) bool
	// InFlight is the number of inbound calls whose answers are not queued yet.
	InFlight() int
	// Idle returns a channel that is closed at the next moment in which InFlight is 0.
	Idle() <-chan struct{}
	// Done is closed when nothing more will be read. Err then is the reason; before it is nil.
	Done() <-chan struct{}
	Err() error
}

// orDefault is v, or def where v was left out.
func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// within waits for c to be closed, but no longer than d.
func within(d time.Duration, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}
