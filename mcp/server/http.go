package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/internal/budget"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// httpServer serves the endpoints of one listener over HTTP: HTTP+SSE and streamable HTTP. It knows
// every session and to whom it belongs.
type httpServer struct {
	o   Options
	sse *wire.SSEServer
	// loose is for what belongs to no session: a quarter of all, so that sessions keep the rest.
	loose *budget.Budget
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
	h := &httpServer{o: o, sessions: map[*session]struct{}{}, byID: map[string]*session{},
		loose: o.memory.Part("outside of sessions", o.Limits.Memory/4)}
	var err error
	h.sse, err = wire.NewSSEServer(wire.SSEServerOptions{
		Connect: func(ctx context.Context, conn *wire.SSEConn) (*sdk.ServerSession, error) {
			c := sessionFrom(ctx)
			conn.SetBudget(c.memory)
			c.hookFast(conn, &h.fast)
			ss, err := c.ep.server.Connect(ctx, conn, nil)
			if err == nil {
				c.connected(ss, conn)
			}
			return ss, err
		},
		// they are counted here, with the others, without those that are ending
		MaxBody: o.Limits.MaxBody, MaxFrame: o.Limits.MaxFrame, MaxSessions: 2*o.Limits.Sessions + 1,
		MaxUnanswered:   o.Limits.unanswered(),
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

// admit counts a new session. At the limit another one may make room for it.
func (h *httpServer) admit(c *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return errEnding
	}
	if len(h.sessions) >= h.o.Limits.Sessions {
		if err := h.makeRoom(c); err != nil {
			return err
		}
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

// noSession answers a request of a session that has ended or never was: nothing has happened.
func noSession(w http.ResponseWriter) {
	http.Error(w, "no such session: it has ended or never was; initialize opens a new one", http.StatusNotFound)
}

// busyLocked reports whether a session has a call, or an answer that its client may come back for.
// Its use is locked.
func (h *httpServer) busyLocked(c *session) bool {
	return c.use.openLocked() > 0 || h.events != nil && c.gate.InFlight() > 0
}

// A seat is a session that could make room for another one.
type seat struct {
	*session
	since    time.Time // it has no call
	listened bool      // it has an open stream
}

// makeRoom ends a session for c: the longest idle one of whoever holds most of those that have been
// idle for as long as Limits.Idle. If there is none and whoever opens c holds less than its share,
// the least used one of whoever holds most, unless a call is in flight. The server is locked.
//
// Before the limit is reached no session ends for being idle: many clients do not open a new one.
func (h *httpServer) makeRoom(c *session) error {
	n, held := len(h.sessions), map[string]int{c.holder(): 0}
	seats := make([]seat, 0, n)
	for s := range h.sessions {
		held[s.holder()]++
		if at, ok := h.unused(s); ok {
			seats = append(seats, at)
		}
	}
	slices.SortFunc(seats, func(a, b seat) int {
		return cmp.Or(held[b.holder()]-held[a.holder()], a.since.Compare(b.since))
	})
	idle, share := time.Now().Add(-h.o.Limits.Idle), max(n/len(held), 1)
	why := fmt.Sprintf("idle, and %d sessions are open, the limit", n)
	for _, at := range seats {
		if !at.listened && at.since.Before(idle) && h.retire(at.session, false, why) {
			return nil
		}
	}
	mine := held[c.holder()]
	why = fmt.Sprintf("%d sessions are open, the limit, and its client has most of them", n)
	for _, at := range seats {
		if mine < share && held[at.holder()] > mine+1 && h.retire(at.session, true, why) {
			return nil
		}
	}
	return fmt.Errorf("too many sessions: %d are open, the limit (%s), %d of them yours; try again later", n,
		h.o.Limits.SessionsKey, mine)
}

// holder is whose session it is, among those that share the server: an identity at an address. Of
// IPv6 the network counts, which one machine has all addresses of.
func (c *session) holder() string {
	host, _, _ := net.SplitHostPort(c.client)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() && !ip.Is4In6() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			host = p.String()
		}
	}
	return c.identity.name() + " " + host
}

// lineUse is what a connection of its own knows of its use.
type lineUse interface {
	Unused() (since time.Time, ok bool)
	EndUnused(why error) bool
}

// unused says since when a session has no call; ok is false if it has one.
func (h *httpServer) unused(c *session) (at seat, ok bool) {
	at = seat{session: c, since: c.opened, listened: true}
	if _, conn := c.parts(); conn != nil {
		line, known := conn.(lineUse)
		if known {
			at.since, known = line.Unused()
		}
		return at, known
	}
	c.use.mu.Lock()
	defer c.use.mu.Unlock()
	if c.use.id == "" { // it begins, or listens in the protocol without sessions
		return at, c.fast.stateless.Load()
	}
	at.since, at.listened = c.use.last, c.use.streams > 0
	return at, !h.busyLocked(c)
}

// retire ends a session that has no call; false: a request, or a stream that counts, has come
// meanwhile. The server is locked.
func (h *httpServer) retire(c *session, listened bool, why string) bool {
	if _, conn := c.parts(); conn != nil {
		if line, ok := conn.(lineUse); !ok || !line.EndUnused(errors.New(why)) {
			return false
		}
	} else {
		c.use.mu.Lock()
		busy := h.busyLocked(c) || c.use.streams > 0 && !listened
		c.use.over = c.use.over || !busy
		c.use.mu.Unlock()
		if busy {
			return false
		}
	}
	h.o.Logger.Warn("session ended", "session", c.id, "transport", c.transport, "identity", c.identity.name(),
		"address", c.client, "reason", why)
	h.forgetLocked(c)
	h.ending.Go(func() { h.endSession(c) })
	return true
}
