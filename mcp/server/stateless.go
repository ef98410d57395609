package server

import (
	"bytes"
	"net/http"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const methodListen = "subscriptions/listen"

// isStateless reports whether a request is of an era without sessions, which says so in a header,
// and again in the message.
func isStateless(r *http.Request, body []byte) bool {
	return r.Header.Get(codec.VersionHeader) > codec.Version20251125 || r.Header.Get(codec.SessionHeader) == "" &&
		bytes.Contains(body, []byte(`"`+sdk.MetaKeyProtocolVersion+`"`))
}

// serveStateless serves one request of such an era. It is a client of its own: it says by itself
// who it is and what it can do, and its call ends with its connection. Only one that listens for
// changes stays, and counts as a session.
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
	c := newSession(r.Context(), ep, mcp.Streamable, id, r.Header)
	defer c.cancel()
	c.fast.stateless.Store(true)
	if body != nil && h.serveFast(w, r, c, body) {
		return
	}
	var env wire.Envelope
	if env.Scan(body) && string(env.Method) == methodListen {
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
	restoreBody(r, body)
	h.stateless.ServeHTTP(w, r.WithContext(withSession(c.ctx, c)))
}
