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
	over      bool                          // the session has ended
	calls     map[string]context.CancelFunc // those running, by the request's id as it stands in the message
	questions codec.PendingCalls            // to requests of the server's
}

// cancelAll ends the calls when the session does, where their contexts are not made from its own.
func (l *fastPath) cancelAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, cancel := range l.calls {
		cancel()
	}
}

// cancelCall cancels the call that a client gives up, if it is on the fast path. It ends by itself,
// and is answered as on the SDK's way.
func (l *fastPath) cancelCall(p *sdk.CancelledParams) {
	if p == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if cancel := l.calls[codec.RequestKey(p.RequestID)]; cancel != nil {
		cancel()
	}
}

func (l *fastPath) ready() bool { return l.open.Load() || l.stateless.Load() }
