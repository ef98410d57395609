package server

import (
	"errors"
	"net/http"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
)

// authenticate finds out who sends r; when it has answered the request itself, ok is false.
func (h *httpServer) authenticate(w http.ResponseWriter, r *http.Request) (id Identity, ok bool) {
	id, err := h.o.identify(r)
	if err == nil {
		return id, true
	}
	if errors.Is(err, agent.CodePermissionDenied) {
		writeJSON(w, http.StatusForbidden, map[string]string{"error": err.Error()})
		return id, false
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeJSON(w, http.StatusUnauthorized, map[string]string{"error": err.Error()})
	return id, false
}

// endpoints are the paths that serve takes.
var endpoints = []string{mcp.SSEEndpoint, mcp.MessagesEndpoint, mcp.StreamableEndpoint}

// serve serves one of the paths of ep.
func (h *httpServer) serve(w http.ResponseWriter, r *http.Request, ep *endpoint, at string) {
	id, ok := h.authenticate(w, r)
	if !ok {
		return
	}
	if at == mcp.StreamableEndpoint {
		h.serveStreamable(w, r, ep, id)
		return
	}
	switch {
	case at == mcp.SSEEndpoint && r.Method == http.MethodGet:
		c := newSession(r.Context(), ep, mcp.SSE, id, r)
		defer c.cancel()
		c.limitMemory()
		if err := h.admit(c); err != nil {
			refuse(w, err)
			return
		}
		defer h.forget(c)
		h.sse.Serve(w, r.WithContext(withSession(r.Context(), c)), id) // returns when the session ends
	case ep.posts.Enter():
		defer ep.posts.Leave()
		h.sse.Serve(w, r, id)
	default:
		body, held, ok := readBody(newDeadlineWriter(w, h.o.Limits.WriteTimeout), r, h.o.Limits, h.loose)
		defer h.loose.Release(held)
		if ok && !isAnswer(body) {
			refuse(w, errEnding)
		} else if ok {
			restoreBody(r, body)
			h.sse.Serve(w, r, id)
		}
	}
}
