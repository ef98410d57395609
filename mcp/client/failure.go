package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// failure says what the failure of a call means: the server's own error, or what is known about
// whether the call ran.
func (s *Session) failure(ctx context.Context, c *agent.Call, n *note, err error) *agent.Error {
	var e *agent.Error
	// The server may answer a call that is canceled before the cancellation is noticed here.
	late := ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.Cause(s.ctx))
	if errors.As(err, &e) && (!late || e.NotExecuted) {
		return s.unknownTool(c, e)
	}
	sent := n.Sent()
	if sent && ctx.Err() != nil {
		s.abandoned.Store(true)
		s.life.giveUp(ctx, n.began)
	}
	status := n.HTTPError()
	var large *wire.TooLargeError
	switch {
	case errors.As(err, &large) && !large.Inbound:
		return agent.Refusedf(agent.CodeResourceExhausted, "%s: %w", c.Target(), large)
	case late:
		e = agent.Errorf(agent.CodeOf(ctx.Err()), "%s: %w", c.Target(), ctx.Err())
		e.NotExecuted = !sent
		return e
	case status != nil && (ctx.Err() == nil || status.Refused()):
		return s.refusal(c, status, n)
	}
	if e, ok := codec.FromRPCError(err, s.target.Trusted); ok && sent && !isLocal(err) {
		return e
	}
	err, ended := s.endOr(ctx, err)
	if !sent {
		if ended {
			err = endedError{err}
		}
		if none := exhausted(err, false); none != "" {
			return agent.Refusedf(agent.CodeResourceExhausted, "%s: not sent: %w: %s", c.Target(), err, none)
		}
		if strings.HasPrefix(err.Error(), "not sent: ") { // a *wire.NotSentError
			return agent.Refusedf(agent.CodeUnavailable, "%s: %w", c.Target(), err)
		}
		return agent.Refusedf(agent.CodeUnavailable, "%s: not sent: %w", c.Target(), err)
	}
	return agent.Errorf(agent.CodeOutcomeUnknown, "%s: sent, but there was no answer: %w", c.Target(), err)
}

// unknownTool gives the error of a server that has no such tool, and says so in a result as a tool
// does that failed, the code which other servers' answers lead to.
func (s *Session) unknownTool(c *agent.Call, e *agent.Error) *agent.Error {
	if c.Op != agent.OpTool || e.Code != agent.CodeToolFailed || s.target.Trusted {
		return e
	}
	said := strings.ToLower(e.Message)
	if strings.Contains(said, "tool") && strings.Contains(said, strings.ToLower(c.Name)) &&
		(strings.Contains(said, "unknown") || strings.Contains(said, "not found")) {
		if _, listed := s.Info().Tool(c.Name); !listed {
			e.Code = agent.CodeNotFound
		}
	}
	return e
}

// endOr is the session's end where that is the cause, which says more than what it did to one call.
// How a program has ended is known a moment after its connection.
func (s *Session) endOr(ctx context.Context, err error) (cause error, ended bool) {
	if s.link.child != nil && s.ctx.Err() == nil {
		timer := time.NewTimer(exitGrace)
		defer timer.Stop()
		select {
		case <-s.ending:
			return s.why, true
		case <-timer.C:
		case <-ctx.Done():
		}
		if s.gate.IsShut() { // it has ended, and supervise finds out why
			select {
			case <-s.ending:
				return s.why, true
			case <-s.ctx.Done():
			case <-ctx.Done():
			}
		}
	}
	if cause := context.Cause(s.ctx); cause != nil {
		return cause, true
	}
	return codec.WithoutURL(withoutMethod(err)), false
}

// refusal is the error that an HTTP status stands for, in the server's words if it has some.
func (s *Session) refusal(c *agent.Call, status *wire.HTTPError, n *note) *agent.Error {
	body := status.Body
	if text := n.refusal.Load(); text != nil {
		body = *text
	}
	e := &agent.Error{Code: agent.CodeOutcomeUnknown, Message: fmt.Sprintf("%s: %s: %d %s", c.Target(), status.Op,
		status.Status, http.StatusText(status.Status))}
	var env wire.Envelope
	if env.Scan([]byte(body)) && env.Method == nil && env.Error != nil {
		_, err := env.ReadAnswer()
		if said, ok := codec.FromRPCError(err, s.target.Trusted); ok {
			if s.stateless() && (status.Status == http.StatusBadRequest || status.Status == http.StatusNotFound) {
				return said // an answer like any other: the protocol gives some a status of their own
			}
			e.Code, e.Message, e.Details, e.RetryAfter = said.Code, c.Target()+": "+said.Message, said.Details,
				said.RetryAfter
			if answersRequest(status.Status) {
				e.RPC = said.RPC
			}
		}
	} else if text := strings.TrimSpace(body); text != "" && len(text) <= 512 && !strings.HasPrefix(text, "<") {
		e.Message += ": " + text
	}
	if status.Refused() {
		e.NotExecuted, e.Code = true, statusCode(status.Status, s.target.Transport == mcp.SSE || s.sdk.ID() != "")
	}
	if why := n.noToken.Load(); why != nil {
		e.Message += "; " + (*why).Error()
	}
	e.RetryAfter = max(e.RetryAfter, status.RetryAfter)
	return e
}

// answersRequest reports whether an HTTP status of an error of JSON-RPC is about the request, and
// not about the session, its rights or the load of the server.
func answersRequest(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	}
	return false
}

// errHandshake ends a handshake that took too long.
var errHandshake = errors.New("the handshake timed out")

// statusCode is the code for a request that was turned away. Within a session, 404 means that the
// session is gone.
func statusCode(status int, session bool) agent.Code {
	switch status {
	case http.StatusUnauthorized:
		return agent.CodeUnauthenticated
	case http.StatusForbidden:
		return agent.CodePermissionDenied
	case http.StatusNotFound, http.StatusGone:
		if session {
			return agent.CodeUnavailable
		}
		return agent.CodeNotFound
	case http.StatusMethodNotAllowed:
		return agent.CodeUnimplemented
	case http.StatusRequestTimeout, http.StatusTooEarly: // worth another attempt
		return agent.CodeUnavailable
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return agent.CodeResourceExhausted
	}
	if status >= 400 && status < 500 {
		return agent.CodeInvalidArgument
	}
	return agent.CodeUnavailable
}
