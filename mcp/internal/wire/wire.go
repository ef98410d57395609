// Package wire carries MCP messages: the connections that openmas puts under the official SDK.
//
// [Line] speaks newline-delimited JSON over a reader and a writer (stdio, pipes), [SSEServer] and
// [SSEClient] the two ends of HTTP+SSE as protocol 2024-11-05 has it. Each is an [sdk.Connection]
// and its own [sdk.Transport]. Beyond what the SDK's connections do, they bound what a peer can
// cost (frames, queues, sessions, time), say whether a request that failed was sent
// ([NotSentError], [Trace]), survive garbage, and scan each message once ([Envelope]) so that a
// [Hook] can take it before the SDK decodes it. For streamable HTTP, where the SDK's client cannot
// be wrapped, [NewHTTPClient] gathers the same evidence below it.
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

	defaultMaxQueue   = 1 << 20 // bytes that wait for the peer before writers wait too
	defaultSSEQueue   = 256 << 10
	defaultMaxGarbage = 1000 // unreadable messages in a row
)

// A Hook sees each inbound message before the SDK. It is called with the whole message and its
// envelope; both are valid only during the call. True means that the hook took the message and the
// SDK must not see it. A request or notification whose envelope is unusual in any way is not
// offered, nor is one in a batch that a server receives. Answers always are: nobody else may know
// the request.
//
// A hook is called by the goroutine that reads (on [SSEConn] by concurrent POSTs): it must not
// block, and must not close the connection or call its SDK session.
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
	// Hold counts a call in flight that the SDK does not know of, because a hook took it; Release
	// ends it. A connection that waits for a moment without calls (see the options) waits for these
	// too.
	Hold()
	Release()
	// InFlight is the number of inbound calls whose answers are not yet written, or queued for
	// that.
	InFlight() int
	// Idle returns a channel that is closed at the next moment in which InFlight is 0.
	Idle() <-chan struct{}
	// Done is closed when nothing more will be read, and Err then says why; before it is nil.
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
