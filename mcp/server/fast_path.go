package server

import (
	"context"
	"sync"
	"sync/atomic"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
)

// fastPath is the fast path of one client's session.
type fastPath struct {
	open      atomic.Bool // the handshake is over
	stateless atomic.Bool // there is none, and the SDK knows

	mu        sync.Mutex
	over      bool                    // the session has ended
	calls     map[string]*runningCall // those running, by the request's id as it stands in the message
	questions codec.PendingCalls      // to requests of the server's
}

// A runningCall is one of its calls.
type runningCall struct {
	cancel    context.CancelFunc
	cancelled atomic.Bool // the client does not wait for the answer
}

// cancelAll ends the calls when the session does, where their contexts are not made from its own.
func (l *fastPath) cancelAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, call := range l.calls {
		call.cancel()
	}
}

// cancelRunning ends the calls that run, which are answered all the same.
func (l *fastPath) cancelRunning() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, call := range l.calls {
		call.cancel()
	}
}

// cancelCall cancels the call that a client gives up, if it is on the fast path. It ends by itself,
// and is not answered.
func (l *fastPath) cancelCall(p *sdk.CancelledParams) {
	if p == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if call := l.calls[codec.RequestKey(p.RequestID)]; call != nil {
		call.cancelled.Store(true)
		call.cancel()
	}
}

// busy reports whether a call with the id of a request is in flight here.
func (l *fastPath) busy(id []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[string(id)] != nil
}

func (l *fastPath) ready() bool { return l.open.Load() || l.stateless.Load() }
