package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

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
	case ReasonNoProgram, ReasonRefused, ReasonExhausted:
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
	ReasonExhausted Reason = "exhausted"  // this machine or process has no file, process or memory left
	ReasonStatus    Reason = "status"     // an HTTP status that is no success, see Status
	ReasonRedirects Reason = "redirects"  // the server redirects again and again
	ReasonVersion   Reason = "version"    // there is no version of the protocol that both know
	ReasonError     Reason = "error"      // the server answered with an error of JSON-RPC
	ReasonNotMCP    Reason = "not mcp"    // what answers does not speak the protocol, or not well
	ReasonFailed    Reason = "failed"     // anything else
)

// ConnectError tells why there is no session. Its text names the target, without secrets, and what
// to look at.
type ConnectError struct {
	Target string
	Reason Reason
	Status int // the HTTP status, else 0
	Unread int // lines on the program's standard output that are no MCP messages
	// Greeted: the server has answered initialize, and what came after it failed.
	Greeted bool
	Err     error

	lines  []string
	unread string
}

// Error says all of it, but for what the program printed: see [LastLines] and [LastUnread].
func (e *ConnectError) Error() string { return fmt.Sprintf("connect to %s: %v", e.Target, e.Err) }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// LastLines is for [LastLines].
func (e *ConnectError) LastLines() []string { return e.lines }

// LastLines is what the program behind a failed connection or an ended session wrote last to its
// standard error, at most 20 lines. It is for those who run the program, and in no error's text.
func LastLines(err error) []string {
	var e interface{ LastLines() []string }
	if errors.As(err, &e) {
		return e.LastLines()
	}
	return nil
}

// LastUnread is the last line that the program behind a failed connection wrote to its standard
// output and that is no MCP message, at most 200 bytes; empty: there is none. Like [LastLines], it
// is in no error's text.
func LastUnread(err error) string {
	var e *ConnectError
	if !errors.As(err, &e) {
		return ""
	}
	return e.unread
}

// ExitCode is the exit code of a program that ended, which err tells of; ok is false if it tells of
// something else. A program that a signal ended has -1.
func ExitCode(err error) (code int, ok bool) {
	var e *child.ExitError
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code, true
}

// ExitSignal is the name of the signal that ended the program which err tells of, such as SIGKILL;
// empty: none did.
func ExitSignal(err error) string {
	var e *child.ExitError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Signal
}

// explain turns the failure of a handshake into one error for people, and clears up. asked is what
// the server was to do then.
func explain(ctx context.Context, t *Target, o Options, l *link, said *note, asked step, err error) error {
	over := ctx.Err() != nil // what follows takes time
	if why := said.failed.Load(); why != nil {
		err = *why // the SDK's words are about what it got in its place
	} else if why := l.lost(); why != nil && (errors.Is(err, sdk.ErrConnectionClosed) || isLocal(err)) {
		err = why
	}
	out := &ConnectError{Target: t.String(), Reason: ReasonFailed, Greeted: asked.later(), Err: codec.WithoutURL(err)}
	code := agent.CodeUnavailable
	var status *wire.HTTPError
	if !errors.As(err, &status) {
		status = said.HTTPError()
	}
	forgotten := errors.Is(err, sdk.ErrSessionMissing)
	status = said.told(status)
	var start *startError
	var rpc *jsonrpc.Error
	var noHost *net.DNSError
	if l != nil && l.http != nil && status == nil {
		if odd := l.http.oddMedia.Load(); odd != nil {
			err = fmt.Errorf("%w of type %s", errNotMCP, *odd)
		}
	}
	refused, where := versionRefused(err), undecodable(err)
	var large *wire.TooLargeError
	isLarge, isError := errors.As(err, &large), errors.As(err, &rpc) && !isLocal(err)
	var exit *child.ExitError
	if !errors.As(err, &exit) && !over && status == nil && refused == "" && where == "" && !isNotMCP(err) && !isLarge &&
		!isError {
		exit = l.awaitExit() // else there was an answer, or its end is our doing
	}
	none := exhausted(err, errors.As(err, &start))
	switch {
	case none != "" && !isError:
		out.Reason, code, out.Err = ReasonExhausted, agent.CodeResourceExhausted, fmt.Errorf("%w: %s",
			codec.WithoutURL(err), none)
	case start != nil:
		out.Reason, code, out.Err = ReasonNoProgram, agent.CodeNotFound, start.err
	case exit != nil:
		out.Reason, out.Err = ReasonExited, fmt.Errorf("%w before it %s%s", exit, asked.past(), l.junk())
	case over && errors.Is(context.Cause(ctx), errHandshake):
		out.Reason = ReasonTimeout
		first := ""
		if out.Greeted {
			first = "answered initialize, and "
		}
		out.Err = fmt.Errorf("it %sdid not %s within %v%s%s", first, asked, o.HandshakeTimeout,
			inBrackets(o.TimeoutKey), l.junk())
	case over:
		out.Reason, code = ReasonTimeout, agent.CodeOf(ctx.Err())
		out.Err = fmt.Errorf("given up before it %s: %w", asked.past(), context.Cause(ctx))
	case status != nil:
		out.Reason, out.Status, code = ReasonStatus, status.Status, statusCode(status.Status, false)
		out.Err = fmt.Errorf("the server answered %w%s", status, statusHint(t, status.Status))
		if out.Greeted {
			out.Err = fmt.Errorf("the server answered initialize, and %s with %w%s", asked.what(), status,
				laterHint(status.Status, forgotten))
		}
		if said.noToken.Load() != nil {
			out.Err = said.withoutToken(fmt.Errorf("the server answered %w", status))
		}
	case errors.Is(err, wire.ErrRedirects):
		out.Reason, out.Err = ReasonRedirects, codec.WithoutURL(err)
	case errors.As(err, &noHost):
		out.Reason = ReasonRefused
		out.Err = fmt.Errorf("the host %s is not known: %w", noHost.Name, codec.WithoutURL(err))
	case isRefused(err):
		out.Reason = ReasonRefused
		out.Err = fmt.Errorf("nothing listens there (%w): is the server running, on this host and port?",
			codec.WithoutURL(err))
	case refused != "":
		out.Reason, code, out.Err = ReasonVersion, agent.CodeUnimplemented, errors.New(refused)
	case isNotMCP(err):
		out.Reason, code = ReasonNotMCP, agent.CodeUnimplemented
		out.Err = fmt.Errorf("what answers is no MCP server of this transport: %w", codec.WithoutURL(err))
	case isLarge && large.Inbound:
		code, out.Err = agent.CodeResourceExhausted, fmt.Errorf("%s: %s", asked.what(), o.tooLarge(large))
	case where != "":
		out.Reason, code = ReasonNotMCP, agent.CodeUnimplemented
		out.Err = fmt.Errorf("its answer to %s does not decode: %s", asked.what(), where)
	case isError:
		out.Reason = ReasonError
		out.Err = fmt.Errorf("it %s with error %d: %w", asked.past(), rpc.Code, rpc)
	case l != nil && l.line != nil && errors.Is(err, io.EOF):
		out.Err = fmt.Errorf("it closed its output before it %s, and runs on%s", asked.past(), l.junk())
	}
	if l != nil && l.line != nil {
		out.Unread, out.unread = int(l.line.Junk()), l.line.LastJunk()
	}
	l.discard(context.WithoutCancel(ctx))
	if l != nil && l.child != nil {
		out.lines = l.child.Tail() // all of them, now
	}
	e := agent.Refusedf(code, "%w", out)
	if status != nil {
		e.RetryAfter = status.RetryAfter
	}
	return e
}

// undecodable says where an answer does not decode; empty: that is not what is wrong.
func undecodable(err error) string {
	var odd *json.UnmarshalTypeError
	var answer *wire.AnswerError
	switch {
	case errors.As(err, &odd) && odd.Field != "":
		return fmt.Sprintf("%s should be %s", odd.Field, jsonType(odd.Type))
	case errors.As(err, &odd):
		return "the result should be " + jsonType(odd.Type)
	case errors.As(err, &answer):
		return answer.Cause.Error()
	}
	// what goes through the SDK is an error of JSON-RPC
	if _, why, ok := strings.Cut(fmt.Sprint(err), (&wire.AnswerError{Cause: errors.New("")}).Error()); ok {
		return why
	}
	return ""
}

// jsonType is what JSON has for a type of Go.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map, reflect.Pointer, reflect.Interface:
		return "an object"
	}
	return "a number"
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

// laterHint is statusHint for a request that follows one that was answered well: the path is right.
func laterHint(status int, forgotten bool) string {
	switch {
	case forgotten:
		return ": it has forgotten the session that it had just begun; do several servers share this url, or did it restart?"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ": check the headers, it wants a token or another one for this request"
	case status < http.StatusBadRequest:
		return "" // a redirect, which says what to do
	}
	return ": the path is right; the server's own log should say why"
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
