package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
)

// A client of streamable HTTP that loses a connection comes back with the id of the last event it
// has seen, and gets what followed. The SDK numbers the events and replays them; what is kept, and
// who may have it, is decided here. The fast path takes no calls then: it has no events.

const (

	// claimTick is how often a request that lost its stream is told to end.
	claimTick = 20 * time.Millisecond
	// pollRetry is how long a client is asked to stay away whose stream was closed before the
	// answer.
	pollRetry = 100 * time.Millisecond
)

// A claim is a request on which the events of a stream go out.
type claim struct {
	use    *streamableUse
	stream string // set with use.mu held
	cancel context.CancelFunc
	rc     *http.ResponseController
	gone   chan struct{} // closed when the stream is free again
}

type claimKey struct{}

func claimOf(ctx context.Context) *claim {
	c, _ := ctx.Value(claimKey{}).(*claim)
	return c
}

// claiming prepares a request to have a stream. It has none yet.
func (u *streamableUse) claiming(w http.ResponseWriter, r *http.Request) (_ *http.Request, c *claim, end func()) {
	ctx, cancel := context.WithCancel(r.Context())
	c = &claim{use: u, cancel: cancel, rc: http.NewResponseController(w), gone: make(chan struct{})}
	return r.WithContext(context.WithValue(ctx, claimKey{}, c)), c, func() {
		cancel()
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.claims[c.stream] == c {
			delete(u.claims, c.stream)
		}
		close(c.gone)
	}
}

// claim makes a stream a request's, if it is nobody's. Else it says whose it is, after it has told
// that one to end if so wanted.
func (u *streamableUse) claim(c *claim, stream string, end bool) (old *claim) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if old = u.claims[stream]; old != nil {
		if end { // it is still being served: it gives up its claim before that is over
			old.cancel()
			// it may be writing to a client that reads no more; not every writer has deadlines
			_ = old.rc.SetWriteDeadline(time.Now())
		}
		return old
	}
	if u.claims == nil {
		u.claims = map[string]*claim{}
	}
	c.stream = stream
	u.claims[stream] = c
	return nil
}

// takeOver gives a stream to a request of the client that comes back for it. The one that had it
// may still seem to be alive, since connections often break without a word; it is ended.
func (u *streamableUse) takeOver(ctx context.Context, c *claim, stream string) error {
	tick := time.NewTicker(claimTick)
	defer tick.Stop()
	for {
		old := u.claim(c, stream, true)
		if old == nil {
			return nil
		}
		select {
		case <-old.gone:
		case <-tick.C: // once more: it may just have begun to write, with a new deadline
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serveStream serves a GET: the session's own stream, or one that the client comes back for.
func (h *httpServer) serveStream(w http.ResponseWriter, r *http.Request, c *session) {
	if h.events == nil {
		defer c.use.stream()()
		h.mcp.ServeHTTP(w, r)
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
		h.mcp.ServeHTTP(w, r)
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
			begin(w)
		}
	}
	h.mcp.ServeHTTP(w, r)
}

// takesStream reports whether there is nothing about a GET that the SDK would refuse.
func (c *session) takesStream(h http.Header) bool {
	era, _ := c.protocol()
	version := h.Get(codec.VersionHeader)
	return strings.Contains(h.Get("Accept"), "text/event-stream") && (version == "" || version == era)
}

// begin begins a response on which there is nothing to say yet, so that the client knows that it
// was heard. The SDK does so with a session's own stream only.
func begin(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache, no-transform")
	_, err := io.WriteString(w, ": ok\n\n")
	if err == nil {
		_ = http.NewResponseController(w).Flush() // a client that is gone again is noticed by the SDK
	}
}

// poll closes the stream of a request from time to time, as long as it is not answered: a client of
// protocol 2025-11-25 comes back for the rest. It is for clients behind a proxy that cuts long
// requests. done ends it.
func (e *endpoint) poll(extra *sdk.RequestExtra) (done func()) {
	every := e.o.Limits.Poll
	if every <= 0 || e.o.Limits.Resume <= 0 || extra == nil || extra.CloseSSEStream == nil ||
		extra.Header.Get(codec.VersionHeader) != codec.Version20251125 {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				extra.CloseSSEStream(sdk.CloseSSEStreamArgs{RetryAfter: pollRetry})
			case <-stop:
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}
