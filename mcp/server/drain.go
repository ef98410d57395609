package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const (
	// A server that ends, once its calls are over: settleTime is how long all that follows may
	// take. Within it, clients may take as long as they need to show that they have read their
	// answers, and those that had no call in flight pingTime.
	settleTime = 10 * time.Second
	pingTime   = time.Second
	// pingRounds is how often clients are pinged: one that is busy with many answers at once may
	// answer a ping before it has come to the last of them.
	pingRounds = 5
)

// drain turns new sessions away from now on.
func (h *httpServer) drain() {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.sse.Drain()
}

// noteOwed notes which sessions of an endpoint have answers to lose.
func (h *httpServer) noteOwed(ep *endpoint) {
	for _, c := range h.where(func(c *session) bool { return c.ep == ep && c.gate.InFlight() > 0 }) {
		c.owed.Store(true)
	}
}

// know notes a session that the HTTP server does not know, until it is forgotten.
func (e *endpoint) know(c *session) (forget func()) {
	e.alone.Store(c, nil)
	return func() { e.alone.Delete(c) }
}

// cut ends the calls of an endpoint that still run, so that their clients get an answer before
// their sessions end.
func (h *httpServer) cut(ep *endpoint) {
	for _, c := range h.where(func(c *session) bool { return c.ep == ep }) {
		c.cutCalls()
	}
	ep.alone.Range(func(c, _ any) bool {
		c.(*session).cutCalls()
		return true
	})
}

// settle turns all further requests away, after an endpoint's calls have ended, and waits until the
// answers to those that were taken are written and read. What is refused from then on was certainly
// not executed; without this, a request could still be taken by a session that is about to end, and
// never be answered. Clients that answer no pings are waited for no longer than pings.
func (h *httpServer) settle(ctx context.Context, ep *endpoint, pings time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	ep.posts.Shut()
	_ = ep.posts.Wait(ctx) // what is slower than settleTime is not waited for
	h.awaitAnswers(ctx, ep)
	if ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(ctx, pings)
		defer cancel()
		h.pingClients(ctx, ep)
	}
}

// timesAfterCut is how long calls that were cut, after they had waited for so long, may take to
// end and be answered, and how long their clients may take to answer pings then. The whole stop has
// a quarter of waited left, and sessions have yet to end.
func timesAfterCut(waited time.Duration) (answers, pings time.Duration) {
	left := waited / 4 * 3 / 4
	return max(left, closeTimeout), max(left, 500*time.Millisecond)
}

// isAnswer reports whether a message answers a request of ours, such as a ping. It is taken until
// the session ends.
func isAnswer(body []byte) bool {
	_, ok := wire.MendAnswers(body, nil)
	return ok
}

// pingClients pings the clients of an endpoint. Many drop what they have received but not read when
// their session ends; one that answers has read what came before. A client without an open stream
// cannot be pinged, and has none to lose. Some clients answer no pings: those that wait for nothing
// hold up a drain for a moment only.
func (h *httpServer) pingClients(ctx context.Context, ep *endpoint) {
	short, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	var all sync.WaitGroup
	for _, c := range h.where(func(c *session) bool { return c.ep == ep }) {
		if ss, conn := c.parts(); ss != nil && (conn != nil || c.use.listening()) {
			wait := short
			if c.owed.Load() {
				wait = ctx
			}
			all.Go(func() {
				// A client that leaves answers none, and the SDK ends its session after the pings.
				wait, leave := context.WithCancel(wait)
				defer leave()
				defer context.AfterFunc(c.ctx, leave)()
				for range pingRounds {
					if ss.Ping(wait, nil) != nil {
						return // no answer is no worse than a late one
					}
				}
			})
		}
	}
	all.Wait()
}

// awaitAnswers returns when each of an endpoint's sessions has had a moment without an unanswered
// request, or ctx ends.
func (h *httpServer) awaitAnswers(ctx context.Context, ep *endpoint) {
	for _, c := range h.where(func(c *session) bool { return c.ep == ep }) {
		c.awaitAnswers(ctx)
	}
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

// closeTimeout bounds how long calls that were cancelled may take to end before they are left
// behind.
const closeTimeout = 2 * time.Second
