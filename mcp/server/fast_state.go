package server

import (
	"context"
	"sync"
	"sync/atomic"

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

func (l *fastPath) ready() bool { return l.open.Load() || l.stateless.Load() }
