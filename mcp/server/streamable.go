package server

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

const (

	// requestHeader leads from a handler of the SDK back to the POST that it works for: the SDK
	// passes on headers, not contexts. It never comes from outside.
	requestHeader = "Openmas-Request"
)

// streamableUse is what the requests of one streamable session are doing: from that follows when
// the session ends.
type streamableUse struct {
	mu      sync.Mutex
	id      string                   // Mcp-Session-Id, which opens the session; set by the handshake
	posts   map[string]*http.Request // those with messages, while they are answered, by requestHeader
	next    int
	others  int // requests on the fast path, and those for the rest of a stream
	streams int // open GET streams
	last    time.Time
	timer   *time.Timer
	claims  map[string]*claim // by stream, where streams can be resumed
}

func (u *streamableUse) openPosts() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.posts) + u.others
}

// begin notes a request that is being answered, of which the SDK's handlers need to know nothing.
// alight must follow.
func (u *streamableUse) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.others++
}

func (u *streamableUse) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.others--
	u.last = time.Now()
}

// post notes a POST while it is being answered.
func (u *streamableUse) post(r *http.Request) (end func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.posts == nil {
		u.posts = map[string]*http.Request{}
	}
	u.next++
	id := strconv.Itoa(u.next)
	u.posts[id] = r
	r.Header = r.Header.Clone()
	r.Header.Set(requestHeader, id)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.posts, id)
		u.last = time.Now()
	}
}

// of is the context of the POST that a request of the SDK came with; nil if there is none.
func (u *streamableUse) of(extra *sdk.RequestExtra) context.Context {
	if extra == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if r := u.posts[extra.Header.Get(requestHeader)]; r != nil {
		return r.Context()
	}
	return nil
}

// stream notes a GET while it is open.
func (u *streamableUse) stream() (end func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.streams++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.streams--
		u.last = time.Now()
	}
}

// listening reports whether the client hears what the server says on its own.
func (u *streamableUse) listening() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.streams > 0
}

// serveStreamable serves one request of streamable HTTP: it opens a session, or belongs to one. The
// SDK keeps the sessions; whose they are and how long they last is decided here.
func (h *httpServer) serveStreamable(w http.ResponseWriter, r *http.Request, ep *endpoint, id Identity) {
	pw := newDeadlineWriter(w, h.o.Limits.WriteTimeout)
	defer pw.extend() // for the end of the response
	post := r.Method == http.MethodPost
	var body []byte
	if post {
		var ok bool
		if body, ok = h.readBody(pw, r); !ok {
			return
		}
	}
	if isStateless(r, body) {
		h.serveStateless(pw, r, ep, id, body)
		return
	}
	if post {
		if !ep.posts.Enter() {
			refuse(w, errEnding)
			return
		}
		defer ep.posts.Leave()
	}
	sid := r.Header.Get(codec.SessionHeader)
	if sid == "" {
		restoreBody(r, body)
		h.openStreamable(pw, r, ep, id)
		return
	}
	h.mu.Lock()
	c := h.byID[sid]
	h.mu.Unlock()
	switch {
	case c == nil || c.ep != ep:
		http.Error(w, "no such session: it has ended or never was; initialize opens a new one", http.StatusNotFound)
		return
	case c.identity != id:
		http.Error(w, "the session belongs to another identity", http.StatusForbidden)
		return
	}
	if body != nil && h.events == nil && h.serveFast(pw, r, c, body) {
		return
	}
	restoreBody(r, body)
	r = r.WithContext(withSession(r.Context(), c))
	switch r.Method {
	case http.MethodDelete:
		c.cancel() // the client is gone for good: its calls end, or the SDK would wait for them
		h.forget(c)
		c.use.stop()
		h.mcp.ServeHTTP(pw, r)
	case http.MethodGet:
		h.serveStream(pw, r, c)
	default:
		if h.events != nil {
			var mine *claim
			var end func()
			r, mine, end = c.use.claiming(pw, r)
			defer func() {
				end()
				h.events.unused(sid, mine.stream)
			}()
		}
		defer c.use.post(r)()
		h.mcp.ServeHTTP(pw, r)
	}
}

// openStreamable serves a request without a session. Only a handshake leaves one behind.
func (h *httpServer) openStreamable(w http.ResponseWriter, r *http.Request, ep *endpoint, id Identity) {
	// the session outlives this request
	c := newSession(context.WithoutCancel(r.Context()), ep, mcp.Streamable, id, r.Header)
	if err := h.admit(c); err != nil {
		c.cancel()
		refuse(w, err)
		return
	}
	c.keep = func(ss *sdk.ServerSession) { h.register(c, ss) }
	defer c.use.post(r)()
	defer func() {
		if c.use.sessionID() == "" {
			c.cancel()
			h.forget(c)
		}
	}()
	h.mcp.ServeHTTP(w, r.WithContext(withSession(r.Context(), c)))
}

// register makes a session known once the handshake has succeeded, before its answer is written.
func (h *httpServer) register(c *session, ss *sdk.ServerSession) {
	context.AfterFunc(c.ctx, c.fast.cancelAll) // once for all: their contexts are those of their POSTs
	u := &c.use
	u.mu.Lock()
	u.id, u.last = ss.ID(), time.Now()
	u.timer = time.AfterFunc(h.o.Limits.untilCheck(), func() { h.endIfIdle(c) })
	u.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byID[ss.ID()] = c
}

func (l Limits) untilCheck() time.Duration {
	d := l.Idle
	if l.Lifetime > 0 {
		d = min(d, l.Lifetime)
	}
	return max(d/8, time.Millisecond)
}

func (u *streamableUse) sessionID() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.id
}

func (u *streamableUse) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timer != nil {
		u.timer.Stop()
		u.timer = nil
	}
}

// endIfIdle ends a session that is idle or has lived long enough, between its calls.
func (h *httpServer) endIfIdle(c *session) {
	u, l := &c.use, h.o.Limits
	u.mu.Lock()
	var reason string
	switch {
	case u.timer == nil:
		u.mu.Unlock()
		return
	case len(u.posts)+u.others > 0 || h.events != nil && c.gate.InFlight() > 0: // a client may be coming back for it
	case l.Lifetime > 0 && time.Since(c.opened) >= l.Lifetime:
		reason = "its lifetime is over"
	case u.streams == 0 && time.Since(u.last) >= l.Idle:
		reason = "idle"
	}
	if reason == "" {
		u.timer.Reset(l.untilCheck())
		u.mu.Unlock()
		return
	}
	u.timer = nil
	u.mu.Unlock()
	h.o.Logger.Warn("session ended", "session", c.id, "transport", mcp.Streamable, "reason", reason)
	h.endSession(c)
}
