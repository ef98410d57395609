package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/gate"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const (
	retryAfter = 2 * time.Second // what a client that was turned away is told
	// A host that ends, once its calls are over: settleTime is how long all that follows may take,
	// farewellTime how long clients may take to show that they have read their answers, and
	// closeDelay what those get who cannot.
	settleTime = 3 * time.Second
	pingTime   = time.Second
	closeDelay = 50 * time.Millisecond
)

// httpServer serves the endpoints of one listener over HTTP: HTTP+SSE and streamable HTTP. It knows
// every session and to whom it belongs.
type httpServer struct {
	o   Options
	sse *wire.SSEServer
	// mcp keeps the sessions of streamable HTTP; stateless serves the requests of the era that has
	// none.
	mcp, stateless *sdk.StreamableHTTPHandler
	events         *eventStore // what streams have said; nil: they cannot be resumed

	mu       sync.Mutex
	draining bool
	sessions map[*session]struct{}
	byID     map[string]*session // of streamable HTTP, by Mcp-Session-Id
	ending   sync.WaitGroup      // sessions of streamable HTTP that the SDK is closing
	fast     gate.Gate           // calls of SSE sessions that the SDK does not know of
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
		Ping: o.Limits.Ping, WriteTimeout: o.Limits.WriteTimeout, ReadTimeout: o.Limits.ReadTimeout,
		Lifetime: o.Limits.Lifetime, Logger: o.Logger,
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
		Logger:                     slog.New(debugLog{o.Logger.Handler()}),
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

// guard wraps a handler with what every path needs.
func (o Options) guard(next http.Handler) (http.Handler, error) {
	return wire.Guard(next, wire.GuardOptions{Hosts: o.Hosts, Origins: o.Origins})
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

var errEnding = errors.New("the server is shutting down")

// refuse turns a request away; the client may come back.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
}

// admit counts a new session.
func (h *httpServer) admit(c *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return errEnding
	}
	if n := len(h.sessions); n >= h.o.Limits.Sessions {
		return fmt.Errorf("too many sessions: %d are open, the limit; try again later", n)
	}
	h.sessions[c] = struct{}{}
	return nil
}

func (h *httpServer) forget(c *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, c)
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

// drain turns new sessions away from now on.
func (h *httpServer) drain() {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.sse.Drain()
}

// settle waits, after an endpoint's calls have ended, until their answers are written and read, and
// turns all further requests away. What is refused from then on was certainly not executed; without
// this, a request could still be taken by a session that is about to end, and never be answered.
func (h *httpServer) settle(ctx context.Context, ep *endpoint) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	unanswered := func() int { return h.unanswered(ep) }
	awaitZero(ctx, unanswered)
	if ctx.Err() == nil {
		h.pingClients(ctx, ep)
	}
	ep.posts.Shut()
	_ = ep.posts.Wait(ctx) // what is slower than settleTime is not waited for
	awaitZero(ctx, unanswered)
	select {
	case <-time.After(closeDelay):
	case <-ctx.Done():
	}
}

// pingClients pings the clients of an endpoint. Many drop what they have received but not read when
// their session ends; one that answers has read what came before. A client without an open stream
// cannot be pinged, and has none to lose.
func (h *httpServer) pingClients(ctx context.Context, ep *endpoint) {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	var all sync.WaitGroup
	for _, c := range h.where(func(c *session) bool { return c.ep == ep }) {
		if ss, conn := c.parts(); ss != nil && (conn != nil || c.use.listening()) {
			all.Go(func() { _ = ss.Ping(ctx, nil) }) // no answer is no worse than a late one
		}
	}
	all.Wait()
}

// awaitZero returns when there is nothing left of what count counts, or ctx ends.
func awaitZero(ctx context.Context, count func() int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for count() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// unanswered counts the requests of an endpoint's sessions that have no answer yet.
func (h *httpServer) unanswered(ep *endpoint) (n int) {
	for _, c := range h.where(func(c *session) bool { return c.ep == ep }) {
		n += c.unanswered()
	}
	return n
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

// close ends all sessions, which cancels their calls, and waits for that.
func (h *httpServer) close(ctx context.Context) error {
	h.drain()
	h.end(func(c *session) bool { return c.transport == mcp.Streamable })
	err := h.sse.Shutdown(ctx) // ends the others
	h.fast.Shut()
	if left := h.fast.Wait(ctx); left != nil {
		err = errors.Join(err, fmt.Errorf("close the SSE sessions: %w", left))
	}
	done := make(chan struct{})
	go func() { h.ending.Wait(); close(done) }() // ends with the last session
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("close the sessions of streamable HTTP: %w", context.Cause(ctx)))
	}
}

// end ends the sessions that which picks, and their calls. It does not wait.
func (h *httpServer) end(which func(*session) bool) {
	for _, c := range h.where(which) {
		h.endSession(c)
	}
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

// restoreBody makes a body that was read readable for the SDK; nil: there was none.
func restoreBody(r *http.Request, body []byte) {
	if body != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
}

// readBody reads the body of a POST within the limits.
func (h *httpServer) readBody(w *deadlineWriter, r *http.Request) (body []byte, ok bool) {
	// not every writer has deadlines; then the server's hold
	_ = w.rc.SetReadDeadline(time.Now().Add(h.o.Limits.ReadTimeout))
	var err error
	if n := r.ContentLength; n > 0 && n <= int64(h.o.Limits.MaxBody) {
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w.ResponseWriter, r.Body, int64(h.o.Limits.MaxBody)))
	}
	if err == nil {
		_ = w.rc.SetReadDeadline(time.Time{}) // else it also keeps net/http from waiting for the rest
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		http.Error(w, fmt.Sprintf("the body exceeds %d bytes, the limit", large.Limit),
			http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if err != nil {
		http.Error(w, "cannot read the body", http.StatusBadRequest)
		return nil, false
	}
	return body, true
}

// deadlineWriter gives every write its own deadline: a client that does not read must not keep its
// answer, and the SDK's lock, for ever.
type deadlineWriter struct {
	http.ResponseWriter
	rc       *http.ResponseController
	timeout  time.Duration
	extended time.Time
}

func newDeadlineWriter(w http.ResponseWriter, timeout time.Duration) *deadlineWriter {
	return &deadlineWriter{ResponseWriter: w, rc: http.NewResponseController(w), timeout: timeout}
}

func (p *deadlineWriter) extend() {
	if now := time.Now(); now.Sub(p.extended) > p.timeout/100 { // or a short answer would do it twice
		p.extended = now
		_ = p.rc.SetWriteDeadline(now.Add(p.timeout))
	}
}

// Write implements http.ResponseWriter.
func (p *deadlineWriter) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}

// Unwrap leads http.ResponseController to Flush.
func (p *deadlineWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }
