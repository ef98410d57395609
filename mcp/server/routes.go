package server

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
)

// routes are the paths of a gateway: its health, and for all agents together and for each of them
// the transports of MCP. The endpoints stand in package mcp.
func (g *Gateway) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", g.health)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", g.readyz)
	for _, at := range endpoints {
		serveAll := func(w http.ResponseWriter, r *http.Request) { g.http.serve(w, r, g.all, at) }
		serveOne := func(w http.ResponseWriter, r *http.Request) {
			ep := g.endpoint(r.PathValue("name"))
			if ep == nil {
				writeJSON(w, http.StatusNotFound,
					map[string]string{"error": fmt.Sprintf("no agent %q here", r.PathValue("name"))})
				return
			}
			g.http.serve(w, r, ep, at)
		}
		for _, end := range []string{"", "/{$}"} {
			mux.HandleFunc(at+end, serveAll)
			mux.HandleFunc("/agents/{name}"+at+end, serveOne)
		}
	}
	return mux
}

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
		c := newSession(r.Context(), ep, mcp.SSE, id, r.Header)
		defer c.cancel()
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
		body, ok := readBody(newDeadlineWriter(w, h.o.Limits.WriteTimeout), r, h.o.Limits)
		if ok && !isAnswer(body) {
			refuse(w, errEnding)
		} else if ok {
			restoreBody(r, body)
			h.sse.Serve(w, r, id)
		}
	}
}
