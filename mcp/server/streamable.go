package server

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// serveStreamable serves one request of streamable HTTP: it opens a session, or belongs to one. The
// SDK keeps the sessions; whose they are and how long they last is decided here.
func (h *httpServer) serveStreamable(w http.ResponseWriter, r *http.Request, ep *endpoint, id Identity) {
	pw := newDeadlineWriter(w, h.o.Limits.WriteTimeout)
	defer pw.extend() // for the end of the response
	post := r.Method == http.MethodPost
	h.mu.Lock()
	c := h.byID[r.Header.Get(codec.SessionHeader)]
	h.mu.Unlock()
	var body []byte
	if post {
		memory := h.loose
		if c != nil && c.ep == ep && c.identity == id {
			memory = c.memory
		}
		var held int
		var ok bool
		if body, held, ok = readBody(pw, r, h.o.Limits, memory); !ok {
			return
		}
		defer memory.Release(held)
		if !utf8.Valid(body) { // other transports refuse it too
			pw.Header()["Content-Type"] = jsonType
			pw.WriteHeader(http.StatusBadRequest)
			_, _ = pw.Write(wire.Refusal(body)) // a client that is gone misses nothing
			return
		}
		var err error
		if body, err = wire.AddHeaders(body, r.Header, h.o.Limits.MaxBody); err != nil {
			http.Error(pw, err.Error(), http.StatusBadRequest)
			return
		}
	}
	if post && beginsSession(body) {
		r.Header.Del(codec.VersionHeader) // it may be a later one: the handshake says which it is to be
	}
	if isStateless(r, body) {
		h.serveStateless(pw, r, ep, id, body)
		return
	}
	if post {
		if ep.posts.Enter() {
			defer ep.posts.Leave()
		} else if !isAnswer(body) {
			refuse(w, errEnding)
			return
		}
	}
	sid := r.Header.Get(codec.SessionHeader)
	if sid == "" {
		if env := (wire.Envelope{}); post && needsSession(body, &env) {
			refuseRequest(pw, &env, http.StatusBadRequest, jsonrpc.CodeInvalidRequest,
				"there is no "+codec.SessionHeader+" header: initialize opens a session, and its answer has the header")
			return
		}
		aw := &answerWriter{ResponseWriter: pw}
		aw.prepare(r, body, nobodys)
		h.openStreamable(aw, r, ep, id)
		aw.finish()
		return
	}
	switch {
	case c == nil || c.ep != ep:
		noSession(w)
		return
	case c.identity != id:
		http.Error(w, "the session belongs to another identity", http.StatusForbidden)
		return
	}
	if body != nil && h.events == nil && h.serveFast(pw, r, c, body) {
		return
	}
	if answers, ok := wire.MendAnswers(body, nil); post && ok {
		if c.deliverAll(answers) {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		body, _ = wire.MendAnswers(answers, codec.Carry)
		plainAnswer(r.Header)
	}
	aw := &answerWriter{ResponseWriter: pw, memory: c.memory}
	aw.prepare(r, body, c.answers.open)
	c.answers.cancel(aw.cancels()) // before the SDK ends the request
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
			var release func()
			r, mine, release = c.use.claiming(pw, r)
			defer func() {
				release()
				h.events.unused(sid, mine.stream)
			}()
		}
		end, ok := c.use.post(r)
		if !ok {
			noSession(pw)
			return
		}
		defer end()
		defer c.answers.add(aw)()
		h.mcp.ServeHTTP(aw, r)
		aw.finish()
	}
}

// plainAnswer gives a POST that answers questions the headers with which the SDK takes it: else
// whoever asked would wait for an answer that has come.
func plainAnswer(h http.Header) {
	h["Content-Type"] = jsonType
	h.Set("Accept", "application/json, text/event-stream")
	h.Del(codec.LastEventHeader)
}

// openStreamable serves a request without a session. Only a handshake leaves one behind.
func (h *httpServer) openStreamable(w http.ResponseWriter, r *http.Request, ep *endpoint, id Identity) {
	// the session outlives this request
	c := newSession(context.WithoutCancel(r.Context()), ep, mcp.Streamable, id, r)
	c.limitMemory()
	if err := h.admit(c); err != nil {
		c.cancel()
		refuse(w, err)
		return
	}
	c.keep = func(ss *sdk.ServerSession) { h.register(c, ss) }
	end, _ := c.use.post(r) // it has not ended
	defer end()
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
	if l := h.o.Limits.Lifetime; l > 0 {
		u.timer = time.AfterFunc(l, func() { h.endIfUnused(c) })
	}
	u.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byID[ss.ID()] = c
}

// endIfUnused ends a session that has lived long enough, between its calls.
func (h *httpServer) endIfUnused(c *session) {
	u := &c.use
	u.mu.Lock()
	switch {
	case u.timer == nil:
		u.mu.Unlock()
		return
	case h.busyLocked(c):
		u.timer.Reset(max(h.o.Limits.Lifetime/8, time.Millisecond))
		u.mu.Unlock()
		return
	}
	u.timer, u.over = nil, true
	u.mu.Unlock()
	h.o.Logger.Warn("session ended", "session", c.id, "transport", mcp.Streamable, "reason", "its lifetime is over")
	h.endSession(c)
}

// beginsSession reports whether a message is the handshake of an era that has sessions.
func beginsSession(body []byte) bool {
	var env wire.Envelope
	return env.Scan(body) && string(env.Method) == methodInitialize &&
		!bytes.Contains(env.Params, []byte(`"`+sdk.MetaKeyProtocolVersion+`"`))
}

// needsSession reports whether a message is a request that only a session answers. What else comes
// without one is the SDK's to answer.
func needsSession(body []byte, env *wire.Envelope) bool {
	if !env.Scan(body) || env.ID == nil {
		return false
	}
	kind, _, ok := strings.Cut(string(env.Method), "/")
	return ok && slices.Contains([]string{"tools", "prompts", "resources", "completion", "logging"}, kind)
}

// isStateless reports whether a request is of a protocol version without sessions. A header names
// the version, and the message does too.
func isStateless(r *http.Request, body []byte) bool {
	return r.Header.Get(codec.VersionHeader) > codec.Version20251125 || r.Header.Get(codec.SessionHeader) == "" &&
		bytes.Contains(body, []byte(`"`+sdk.MetaKeyProtocolVersion+`"`))
}

// serveStateless serves one request of such a version. It is a client of its own: it names itself
// and what it can do, and its call ends with its connection. Only one that listens for changes
// stays, and counts as a session.
func (h *httpServer) serveStateless(w http.ResponseWriter, r *http.Request, ep *endpoint, id Identity, body []byte) {
	waited := r.Method == http.MethodPost // at a drain
	if waited && !ep.posts.Enter() {
		refuse(w, errEnding)
		return
	}
	defer func() {
		if waited {
			ep.posts.Leave()
		}
	}()
	c := newSession(r.Context(), ep, mcp.Streamable, id, r)
	defer c.cancel()
	c.memory = h.loose
	defer ep.know(c)()
	c.fast.stateless.Store(true)
	if body != nil && h.serveFast(w, r, c, body) {
		return
	}
	var env wire.Envelope
	if env.Scan(body) && string(env.Method) == wire.MethodListen {
		if err := h.admit(c); err != nil {
			refuse(w, err)
			return
		}
		defer h.forget(c)
		if waited {
			waited = false
			ep.posts.Leave()
		}
		if l := h.o.Limits.Lifetime; l > 0 {
			defer time.AfterFunc(l, c.cancel).Stop()
		}
	}
	aw := &answerWriter{ResponseWriter: w, memory: c.memory}
	aw.prepare(r, body, nobodys)
	if aw.env.Method != nil && aw.env.ID == nil && r.Header.Get(codec.MethodHeader) == "" {
		r = r.Clone(r.Context()) // many clients name the method of calls only
		r.Header.Set(codec.MethodHeader, string(aw.env.Method))
	}
	h.stateless.ServeHTTP(aw, r.WithContext(withSession(c.ctx, c)))
	aw.finish()
}

// nobodys is for requests that belong to no session.
func nobodys(string) bool { return false }
