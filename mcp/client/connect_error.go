package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// mayBeOlder reports whether a handshake may have failed for want of a protocol: some servers crash
// at a question that they do not know, or never answer.
func mayBeOlder(err error) bool {
	var e *ConnectError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case ReasonNoProgram, ReasonRefused:
		return false
	case ReasonStatus:
		return e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden
	}
	return true
}

// A Reason says why [Connect] failed.
type Reason string

// The reasons.
const (
	ReasonNoProgram Reason = "no program" // the command does not start
	ReasonRefused   Reason = "refused"    // nothing answers at the address
	ReasonTimeout   Reason = "timeout"    // no answer in time, or the caller gave up
	ReasonExited    Reason = "exited"     // the program ended before it answered
	ReasonStatus    Reason = "status"     // an HTTP status that is no success, see Status
	ReasonNotMCP    Reason = "not mcp"    // what answers does not speak the protocol
	ReasonFailed    Reason = "failed"     // anything else
)

// ConnectError tells why there is no session. Its text names the target, without secrets, and what
// to look at.
type ConnectError struct {
	Target string
	Reason Reason
	Status int // the HTTP status, else 0
	Err    error
}

// Error says all of it.
func (e *ConnectError) Error() string { return fmt.Sprintf("connect to %s: %v", e.Target, e.Err) }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// explain turns the failure of a handshake into one error for people, and clears up.
func explain(ctx context.Context, t *Target, o Options, l *link, trace *wire.Trace, err error) error {
	out := &ConnectError{Target: t.String(), Reason: ReasonFailed, Err: codec.WithoutURL(err)}
	code := agent.CodeUnavailable
	tail := sync.OnceValue(func() string { return lastLines(l) })

	var exit *child.ExitError
	var status *wire.HTTPError
	switch {
	case errors.As(err, &exit):
	case ctx.Err() == nil:
		exit = l.awaitExit()
	}
	if !errors.As(err, &status) {
		status = trace.HTTPError()
	}
	var start *startError
	if l != nil && l.http != nil && status == nil {
		if odd := l.http.oddMedia.Load(); odd != nil {
			err = fmt.Errorf("%w of type %s", errNotMCP, *odd)
		}
	}
	switch {
	case errors.As(err, &start):
		out.Reason, code, out.Err = ReasonNoProgram, agent.CodeNotFound, start.err
	case exit != nil:
		out.Reason, out.Err = ReasonExited, fmt.Errorf("the program ended before it answered: %w", exit)
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errHandshake):
		out.Reason = ReasonTimeout
		out.Err = fmt.Errorf("no answer to the handshake within %v: %w%s", o.HandshakeTimeout, errHandshake, tail())
	case ctx.Err() != nil:
		out.Reason, code = ReasonTimeout, agent.CodeOf(ctx.Err())
		out.Err = fmt.Errorf("given up: %w%s", context.Cause(ctx), tail())
	case status != nil:
		out.Reason, out.Status, code = ReasonStatus, status.Status, statusCode(status.Status, false)
		out.Err = fmt.Errorf("the server answered %w%s", status, statusHint(t, status.Status))
	case isRefused(err):
		out.Reason = ReasonRefused
		out.Err = fmt.Errorf("nothing listens there (%w): is the server running, on this host and port?",
			codec.WithoutURL(err))
	case isNotMCP(err):
		out.Reason, code = ReasonNotMCP, agent.CodeUnimplemented
		out.Err = fmt.Errorf("what answers is no MCP server of this transport: %w%s", codec.WithoutURL(err), tail())
	default:
		out.Err = fmt.Errorf("%w%s", codec.WithoutURL(err), tail())
	}
	l.discard(context.WithoutCancel(ctx))
	e := agent.Refusedf(code, "%w", out)
	if status != nil {
		e.RetryAfter = status.RetryAfter
	}
	return e
}

// statusHint says what to look at when a server answers the handshake with that status.
func statusHint(t *Target, status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ": check the headers, it wants a token or another one"
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest:
		other := mcp.Streamable
		if t.Transport == mcp.Streamable {
			other = mcp.SSE
		}
		return fmt.Sprintf(": check the path, and whether the server speaks %s instead of %s", other, t.Transport)
	}
	return ""
}

// isRefused reports whether nobody answered at the address.
func isRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// isNotMCP reports whether what answered the handshake is something else.
func isNotMCP(err error) bool {
	var rpc *jsonrpc.Error
	return errors.Is(err, wire.ErrGarbage) || errors.Is(err, errNotMCP) || errors.As(err, &rpc) &&
		rpc.Code == jsonrpc.CodeMethodNotFound
}

// lastLines is what a program said last, for an error.
func lastLines(l *link) string {
	if l == nil || l.child == nil {
		return ""
	}
	lines := l.child.Tail()
	if len(lines) == 0 {
		return "; the program printed nothing"
	}
	return "; the program's last lines:\n    " + strings.Join(lines, "\n    ")
}
