package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// errHandshake ends a handshake that took too long.
var errHandshake = errors.New("the handshake timed out")

// Connect makes a session to the server: it starts the program if there is one, connects,
// initializes (protocol 2025-11-25, or an earlier one that the server prefers; see
// [Target.Protocol] for a later one) and reads the lists of what the server offers. ctx bounds that
// only, together with the handshake timeout; the session lives until Close or until the server or
// the connection is gone, see [Session.Done].
//
// An error is or wraps an [agent.Error], never executed, and a [*ConnectError] that tells why.
// Nothing is left running then.
func Connect(ctx context.Context, t Target, o Options) (*Session, error) {
	t, o = t.clone(), o.WithDefaults()
	if err := t.Check(); err != nil {
		return nil, err
	}
	o.Logger = o.Logger.With("peer", t.Name)
	hctx, cancel := handshakeContext(ctx, &t, o.HandshakeTimeout)
	defer cancel()
	if t.Protocol <= codec.Version20251125 || t.Transport == mcp.SSE {
		return attempt(hctx, t, o, codec.Version20251125)
	}
	probe, end := handshakeContext(hctx, &t, o.HandshakeTimeout/2)
	defer end()
	s, err := attempt(probe, t, o, t.Protocol)
	if err == nil || hctx.Err() != nil || !mayBeOlder(err) {
		return s, err
	}
	o.Logger.Warn("the server does not take the protocol of this peer: it is asked again in the earlier one",
		"protocol", t.Protocol, "error", err)
	return attempt(hctx, t, o, codec.Version20251125)
}

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

// attempt is Connect with one protocol.
func attempt(ctx context.Context, t Target, o Options, era string) (*Session, error) {
	ctx, trace := wire.WithTrace(ctx)
	l, err := dial(ctx, t, o)
	if err == nil {
		var s *Session
		if s, err = open(ctx, t, o, l, era); err == nil {
			return s, nil
		}
	}
	return nil, explain(ctx, &t, o, l, trace, err)
}

// A link is what a session travels on. Its parts are made by dial and taken down by the session.
type link struct {
	transport sdk.Transport
	conn      wire.Conn      // nil with streamable HTTP, whose connection is the SDK's
	child     *child.Process // nil with a URL
	http      *roundTripper  // nil with stdio
	client    *http.Client   // likewise
	endpoint  *url.URL       // likewise
	line      *wire.Line     // stdio: whose reader the child closes
}

// dial makes the link. On an error the link holds what was started nevertheless.
func dial(ctx context.Context, t Target, o Options) (*link, error) {
	if t.Transport == mcp.Stdio {
		return dialStdio(ctx, t, o)
	}
	return dialHTTP(ctx, t, o)
}

// abort ends the connection at once: whatever reads or writes returns.
func (l *link) abort() {
	if l.http != nil {
		l.http.abort()
	}
	if l.conn != nil {
		_ = l.conn.Close() // its error is about streams that nobody reads any more
	}
}

// close takes the link down and waits for it. The child gets its time to end well until ctx ends.
func (l *link) close(ctx context.Context) error {
	var err error
	l.abort()
	if l.child != nil {
		err = l.child.Stop(ctx)
	}
	if l.line != nil {
		<-l.line.Finished()
	}
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
	return err
}

// open initializes a session on the link and starts its goroutines.
func open(ctx context.Context, t Target, o Options, l *link, era string) (*Session, error) {
	s := newSession(t, o, l)
	if l.conn != nil {
		l.conn.SetHook(s.hook)
	}
	client := sdk.NewClient(&sdk.Implementation{Name: clientName, Version: o.Version}, s.clientOptions())
	client.AddReceivingMiddleware(s.receive)
	client.AddSendingMiddleware(s.recordDiscover)

	// The SDK's handshake leaves the connection's own waits alone when ctx ends: a child that reads
	// nothing, a GET that gets no answer.
	release := context.AfterFunc(ctx, l.abort)
	// Unless the owner says so, servers are asked nothing that older ones do not know: some crash
	// at it.
	transport := l.transport
	if l.http != nil {
		s.keepCancels = &l.http.keepCancels
	} else {
		s.keepCancels = new(atomic.Bool)
		transport = &cancelFilter{transport, s.keepCancels}
	}
	cs, err := client.Connect(ctx, transport, &sdk.ClientSessionOptions{ProtocolVersion: era})
	if err == nil {
		s.sdk = cs
		if !s.stateless() {
			s.statelessMeta = nil // the server did not want to hear it
		}
		s.keepCancels.Store(crashesOnCancel(cs.InitializeResult()))
		switch fast := !o.NoFastPath && (s.statelessMeta != nil || !s.stateless()); {
		case fast && l.conn != nil:
			s.fast = &connSender{s, l.conn}
		case fast:
			s.fast = newPostSender(s)
		}
		err = s.finishHandshake(ctx)
	}
	if !release() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.end(err)
		if cs != nil {
			s.endSession()
		}
		return nil, err
	}
	s.start()
	return s, nil
}

// clientName is what servers see of us.
const clientName = "openmas"

// discard takes down what a failed handshake left. A program that was just started has a second to
// end well.
func (l *link) discard(ctx context.Context) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = l.close(ctx) // that the child had to be killed is not what the user needs to know
}

// awaitExit gives a child that has ended, as its silence suggests, the moment it takes to be
// reaped.
func (l *link) awaitExit() *child.ExitError {
	if l == nil || l.child == nil {
		return nil
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-l.child.Done():
	case <-timer.C:
		return nil
	}
	var exit *child.ExitError
	if !errors.As(l.child.Err(), &exit) {
		exit = &child.ExitError{Name: l.child.String(), Pid: l.child.Pid(), Tail: l.child.Tail()}
	}
	return exit
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
