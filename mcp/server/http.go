package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// httpServer serves the endpoints of one listener over HTTP: HTTP+SSE and streamable HTTP. It knows
// every session and to whom it belongs.
type httpServer struct {
	o   Options
	sse *wire.SSEServer
	// mcp keeps the sessions of streamable HTTP; stateless serves the requests of the protocol
	// version that has none.
	mcp, stateless *sdk.StreamableHTTPHandler
	events         *eventStore // what streams have said; nil: they cannot be resumed

	mu       sync.Mutex
	draining bool
	sessions map[*session]struct{}
	byID     map[string]*session // of streamable HTTP, by Mcp-Session-Id
	ending   sync.WaitGroup      // sessions of streamable HTTP that the SDK is closing
	fast     calls.Gate          // calls of SSE sessions that the SDK does not know of
}

func newHTTPServer(o Options) (*httpServer, error) {
	h := &httpServer{o: o, sessions: map[*session]struct{}{}, byID: map[string]*session{}}
	var err error
	h.sse, err = wire.NewSSEServer(wire.SSEServerOptions{
		Connect: func(ctx context.Context, conn *wire.SSEConn) (*sdk.ServerSession, error) {
			c := sessionFrom(ctx)
			c.hookFast(conn, &h.fast)
			ss, err := c.ep.server.Connect(ctx, conn, nil)
			if err == nil {
				c.connected(ss, conn)
			}
			return ss, err
		},
		// counted here, with the others
		MaxBody: o.Limits.MaxBody, MaxFrame: o.Limits.MaxFrame, MaxSessions: o.Limits.Sessions + 1,
		CommentInterval: o.Limits.CommentInterval, WriteTimeout: o.Limits.WriteTimeout,
		ReadTimeout: o.Limits.ReadTimeout,
		Lifetime:    o.Limits.Lifetime, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	server := func(r *http.Request) *sdk.Server {
		if c := sessionFrom(r.Context()); c != nil {
			return c.ep.server
		}
		return nil
	}
	so := sdk.StreamableHTTPOptions{
		Logger:                     sdkLog(o.Logger),
		MaxRequestBodyBytes:        int64(o.Limits.MaxBody),
		DisableLocalhostProtection: true, // the guard does that, on every path
	}
	if o.Limits.Resume > 0 {
		h.events = newEventStore(o.Limits.Resume)
		so.EventStore = h.events
	}
	h.mcp = sdk.NewStreamableHTTPHandler(server, &so)
	so.EventStore = nil
	so.Stateless, so.PropagateRequestCancellation = true, true
	h.stateless = sdk.NewStreamableHTTPHandler(server, &so)
	return h, nil
}

// Guard wraps a handler with what every path of a server needs: the requests of web pages that have
// no business here, by their Host or Origin header, are refused. See Options.Hosts and Origins.
func (o Options) Guard(next http.Handler) (http.Handler, error) {
	return wire.Guard(next, wire.GuardOptions{Hosts: o.Hosts, Origins: o.Origins})
}

// refuse turns a request away; the client may come back.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
}

// admit counts a new session. At the limit one that is not used makes room for it; else no session
// ends for being idle: many clients do not open a new one.
func (h *httpServer) admit(c *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return errEnding
	}
	if n := len(h.sessions); n >= h.o.Limits.Sessions {
		idle := h.longestIdle()
		if idle == nil {
			return fmt.Errorf("too many sessions: %d are open, the limit; try again later", n)
		}
		h.o.Logger.Warn("session ended", "session", idle.id, "transport", idle.transport, "reason",
			fmt.Sprintf("idle, and %d sessions are open, the limit", n))
		h.forgetLocked(idle)
		h.ending.Go(func() { h.endSession(idle) })
	}
	h.sessions[c] = struct{}{}
	return nil
}

func (h *httpServer) forget(c *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgetLocked(c)
}

func (h *httpServer) forgetLocked(c *session) {
	if _, known := h.sessions[c]; known {
		delete(h.sessions, c)
		close(c.forgotten)
		if h.o.OnSessionEnd != nil {
			h.o.OnSessionEnd(c.transport, c.opened)
		}
	}
	delete(h.byID, c.use.sessionID())
}

// describe describes the open sessions, in no order.
func (h *httpServer) describe() []SessionInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]SessionInfo, 0, len(h.sessions))
	for c := range h.sessions {
		out = append(out, c.info())
	}
	return out
}

// where are the sessions that which picks.
func (h *httpServer) where(which func(*session) bool) (out []*session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.sessions {
		if which(c) {
			out = append(out, c)
		}
	}
	return out
}

func (h *httpServer) endSession(c *session) {
	c.use.stop()
	c.cancel()
	ss, conn := c.parts()
	if conn != nil {
		_ = conn.Close() // sends what is queued; the session is forgotten when its stream ends
		return
	}
	h.forget(c)
	if ss != nil {
		h.ending.Go(func() { _ = ss.Close() }) // it has no reason to fail that anybody could act on
	}
}

// busyLocked reports whether a session has a call, or an answer that its client may come back for.
// Its use is locked.
func (h *httpServer) busyLocked(c *session) bool {
	return c.use.openLocked() > 0 || h.events != nil && c.gate.InFlight() > 0
}

// longestIdle is the session that has been without an open stream and a call for the longest time,
// if that is longer than the limit; nil if there is none. The server is locked.
func (h *httpServer) longestIdle() (found *session) {
	since := time.Now().Add(-h.o.Limits.Idle)
	for _, c := range h.byID {
		c.use.mu.Lock()
		if c.use.streams == 0 && !h.busyLocked(c) && c.use.last.Before(since) {
			found, since = c, c.use.last
		}
		c.use.mu.Unlock()
	}
	return found
}
