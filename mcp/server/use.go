package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// streamableUse is what the requests of one streamable session are doing: from that follows when
// the session ends.
type streamableUse struct {
	mu      sync.Mutex
	id      string        // Mcp-Session-Id, which opens the session; set by the handshake
	posts   postIndex     // those with messages, while they are answered
	others  int           // requests on the fast path, and those for the rest of a stream
	idle    chan struct{} // closed when all of these are answered; nil while nobody waits
	streams int           // open GET streams
	last    time.Time
	over    bool // the session ends: what comes now finds none
	timer   *time.Timer
	claims  map[string]*claim // by stream, where streams can be resumed
}

// openLocked is how many requests have no answer yet.
func (u *streamableUse) openLocked() int { return len(u.posts.byID) + u.others }

func (u *streamableUse) answeredLocked() {
	u.last = time.Now()
	if u.idle != nil && u.openLocked() == 0 {
		close(u.idle)
		u.idle = nil
	}
}

// Idle is closed at the next moment without an unanswered request.
func (u *streamableUse) Idle() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.openLocked() == 0 {
		return closedChan
	}
	if u.idle == nil {
		u.idle = make(chan struct{})
	}
	return u.idle
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// begin notes a request that is being answered, of which the SDK's handlers need to know nothing.
// end must follow. It is false if the session has ended meanwhile.
func (u *streamableUse) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return false
	}
	u.others++
	return true
}

func (u *streamableUse) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.others--
	u.answeredLocked()
}

// post notes a POST while it is being answered. It is false if the session has ended meanwhile.
func (u *streamableUse) post(r *http.Request) (end func(), ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return nil, false
	}
	id := u.posts.add(r)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.posts.byID, id)
		u.answeredLocked()
	}, true
}

// of is the context of the POST that a request of the SDK came with; nil if there is none.
func (u *streamableUse) of(extra *sdk.RequestExtra) context.Context {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.posts.contextOf(extra)
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

// A claim is a request on which the events of a stream go out.
type claim struct {
	use    *streamableUse
	stream string // set with use.mu held
	cancel context.CancelFunc
	w      *deadlineWriter
	gone   chan struct{} // closed when the stream is free again
}

type claimKey struct{}

func claimOf(ctx context.Context) *claim {
	c, _ := ctx.Value(claimKey{}).(*claim)
	return c
}

// claiming prepares a request to have a stream. It has none yet.
func (u *streamableUse) claiming(w *deadlineWriter, r *http.Request) (_ *http.Request, c *claim, end func()) {
	ctx, cancel := context.WithCancel(r.Context())
	c = &claim{use: u, cancel: cancel, w: w, gone: make(chan struct{})}
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
			old.w.cut() // it may be writing to a client that reads no more
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
	for {
		old := u.claim(c, stream, true)
		if old == nil {
			return nil
		}
		select {
		case <-old.gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
