package client

import (
	"errors"
	"net/http"

	"github.com/openmas/openmas/agent"
)

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
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return agent.CodeResourceExhausted
	}
	if status >= 400 && status < 500 {
		return agent.CodeInvalidArgument
	}
	return agent.CodeUnavailable
}

var errNotMCP = errors.New("unexpected answer")

// errClosed is why a session ended that its owner closed.
var errClosed = errors.New("the session was closed")
