package wire

import (
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// inflight counts the inbound calls of a connection that are not answered yet.
type inflight struct {
	mu    sync.Mutex
	calls map[jsonrpc.ID]bool // true: its client has cancelled it
	holds int                 // calls that only a hook knows
	idle  chan struct{}       // closed when the last call is answered; nil while nobody waits
}

func (f *inflight) beginLocked(id jsonrpc.ID) {
	if f.calls == nil {
		f.calls = make(map[jsonrpc.ID]bool)
	}
	f.calls[id] = false
}

// cancel notes that a client does not wait for the answer to a call any more.
func (f *inflight) cancel(id jsonrpc.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.calls[id]; known {
		f.calls[id] = true
	}
}

// open reports whether there is a call with an id that is a string.
func (f *inflight) open(id string) bool {
	key, err := jsonrpc.MakeID(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, known := f.calls[key]
	return known && err == nil
}

// cancelled reports whether a call gets no answer.
func (f *inflight) cancelled(id jsonrpc.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[id]
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
