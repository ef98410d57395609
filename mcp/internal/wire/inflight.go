package wire

import (
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// inflight counts the inbound calls of a connection that are not answered yet.
type inflight struct {
	mu    sync.Mutex
	calls map[jsonrpc.ID]struct{}
	holds int           // calls that only a hook knows
	idle  chan struct{} // closed when the last call is answered; nil while nobody waits
}

func (f *inflight) beginLocked(id jsonrpc.ID) {
	if f.calls == nil {
		f.calls = make(map[jsonrpc.ID]struct{})
	}
	f.calls[id] = struct{}{}
}

func (f *inflight) idleLocked() bool { return len(f.calls)+f.holds == 0 }

// answered ends an inbound call.
func (f *inflight) answered(id jsonrpc.ID) {
	f.mu.Lock()
	delete(f.calls, id)
	f.settleLocked()
	f.mu.Unlock()
}

// Hold implements [Conn].
func (f *inflight) Hold() {
	f.mu.Lock()
	f.holds++
	f.mu.Unlock()
}

// Release implements [Conn].
func (f *inflight) Release() {
	f.mu.Lock()
	f.holds--
	f.settleLocked()
	f.mu.Unlock()
}

func (f *inflight) settleLocked() {
	if f.idle != nil && f.idleLocked() {
		close(f.idle)
		f.idle = nil
	}
}

// InFlight implements [Conn].
func (f *inflight) InFlight() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls) + f.holds
}

// Idle implements [Conn].
func (f *inflight) Idle() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.settleLocked()
	return idle
}
