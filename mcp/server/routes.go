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

// serve serves one of an endpoint's paths: leaf is sse, messages or mcp.
func (h *httpServer) serve(w http.ResponseWriter, r *http.Request, ep *endpoint, leaf string) {
	id, ok := h.authenticate(w, r)
	if !ok {
		return
	}
	if leaf == "mcp" {
		h.serveStreamable(w, r, ep, id)
		return
	}
	switch {
	case leaf == "sse" && r.Method == http.MethodGet:
		c := newSession(r.Context(), ep, mcp.SSE, id, r.Header)
		defer c.cancel()
		if err := h.admit(c); err != nil {
			refuse(w, err)
			return
		}
		defer h.forget(c)
		h.sse.Serve(w, r.WithContext(withSession(r.Context(), c)), id) // returns when the session ends
	case !ep.posts.Enter():
		refuse(w, errEnding)
	default:
		defer ep.posts.Leave()
		h.sse.Serve(w, r, id)
	}
}
