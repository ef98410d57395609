package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

var (
	// ErrClosed ends a connection that this side closed. It is an io.EOF, which the SDK takes for a
	// clean end.
	ErrClosed = fmt.Errorf("connection closed: %w", io.EOF)
	// ErrPeerClosed ends a connection whose peer closed it. It is an io.EOF, which the SDK takes
	// for a clean end.
	ErrPeerClosed = fmt.Errorf("the peer closed the connection: %w", io.EOF)
	// ErrGarbage ends a connection whose peer has never sent a message, but much that is none.
	ErrGarbage = errors.New("what the peer sends is not JSON-RPC")
)

// errRejected in the error of a Write means to the SDK that this message failed and the connection
// goes on (its jsonrpc2 package compares by code). Without it one failed message would end the
// session and every other call on it.
var errRejected = &jsonrpc.Error{Code: -32005, Message: "rejected by transport"}

// NotSentError means that the message did not reach the peer: no byte of it was written, or the
// peer refused it before it was dispatched ([HTTPError]). Repeating it is safe. Any other error of
// a Write means that it may have been sent.
type NotSentError struct {
	Cause error
}

func (e *NotSentError) Error() string   { return "not sent: " + e.Cause.Error() }
func (e *NotSentError) Unwrap() []error { return []error{e.Cause, errRejected} }

// AnswerError is an answer that cannot be understood.
type AnswerError struct{ Cause error }

func (e *AnswerError) Error() string { return "the answer cannot be understood: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *AnswerError) Unwrap() error { return e.Cause }

var errNoResult = errors.New("it holds neither a result nor an error")

// sentError is a failure of one message that may have reached the peer; the connection goes on.
type sentError struct{ cause error }

func (e *sentError) Error() string   { return "sent, but not acknowledged: " + e.cause.Error() }
func (e *sentError) Unwrap() []error { return []error{e.cause, errRejected} }

// clip is the start of b as valid text for logs and errors.
func clip(b []byte, limit int) string {
	more := ""
	if len(b) > limit {
		b, more = b[:limit], "…"
	}
	return strings.ToValidUTF8(string(b), "\uFFFD") + more
}
