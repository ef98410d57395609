package server

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/openmas/openmas/mcp/internal/codec"
)

// A client of streamable HTTP that loses a connection comes back with the id of the last event it
// has seen, and gets what followed. The SDK numbers the events and replays them; what is kept, and
// who may have it, is decided here. The fast path takes no calls then: it has no events.

// serveStream serves a GET: the session's own stream, or one that the client comes back for.
func (h *httpServer) serveStream(w *deadlineWriter, r *http.Request, c *session) {
	aw := &answerWriter{ResponseWriter: w}
	if h.events == nil {
		defer c.use.stream()()
		h.mcp.ServeHTTP(aw, r)
		return
	}
	r, mine, end := c.use.claiming(w, r)
	defer end()
	session, id := c.use.sessionID(), r.Header.Get(codec.LastEventHeader)
	stream, number, _ := strings.Cut(id, "_")
	index, err := strconv.Atoi(number)
	switch {
	case id == "":
		c.use.claim(mine, "", false) // where there is one already, the SDK refuses the second
		index = h.events.lastDelivered(session)
	case err != nil || index < 0: // the SDK says what is wrong
		h.mcp.ServeHTTP(aw, r)
		return
	default:
		if _, err = h.events.from(session, stream, index); err == nil &&
			c.use.takeOver(r.Context(), mine, stream) != nil {
			return // the client is gone again
		}
		if err == nil {
			index, err = h.events.from(session, stream, index) // once more: time has passed
		}
		if err != nil {
			// 404 would mean that there is no session
			http.Error(w, fmt.Sprintf("cannot go on after event %.100q: %v", id, err), http.StatusBadRequest)
			return
		}
	}
	if index >= 0 {
		r.Header = r.Header.Clone()
		r.Header.Set(codec.LastEventHeader, stream+"_"+strconv.Itoa(index))
	}
	if stream == "" {
		if c.takesStream(r.Header) { // else nobody hears
			defer h.events.markDelivered(session)
		}
		defer c.use.stream()()
	} else {
		c.use.begin() // it waits for an answer, as a POST does
		defer c.use.end()
		if h.events.waits(session, stream, index) && c.takesStream(r.Header) {
			beginStream(w)
		}
	}
	h.mcp.ServeHTTP(aw, r)
}

// takesStream reports whether there is nothing about a GET that the SDK would refuse.
func (c *session) takesStream(h http.Header) bool {
	negotiated, _ := c.protocol()
	version := h.Get(codec.VersionHeader)
	return strings.Contains(h.Get("Accept"), "text/event-stream") && (version == "" || version == negotiated)
}
