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
	// unanswered is how many requests may have no answer at once; 0: any number. It is not changed.
	unanswered int
}

// beginLocked is false if a call with the id is in flight.
func (f *inflight) beginLocked(id jsonrpc.ID) bool {
	if _, twice := f.calls[id]; twice {
		return false
	}
	if f.calls == nil {
		f.calls = make(map[jsonrpc.ID]bool)
	}
	f.calls[id] = false
	return true
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

// Busy reports whether a call with the id of a message is in flight on the SDK's side.
func (f *inflight) Busy(env *Envelope) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return false
	}
	id, ok := env.id()
	_, known := f.calls[id]
	return known && ok
}

// answering frees the id of a call whose answer is next: its client may use it again as soon as it
// has the answer. It reports whether the call gets none. Release ends the call.
func (f *inflight) answering(id jsonrpc.ID) (cancelled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cancelled = f.calls[id]
	delete(f.calls, id)
	f.holds++
	return cancelled
}

func (f *inflight) idleLocked() bool { return len(f.calls)+f.holds == 0 }

// answered ends an inbound call.
func (f *inflight) answered(id jsonrpc.ID) {
	f.mu.Lock()
	delete(f.calls, id)
	f.settleLocked()
	f.mu.Unlock()
}

// full reports whether so many requests have no answer yet that one more is refused.
func (f *inflight) full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fullLocked()
}

func (f *inflight) fullLocked() bool { return f.unanswered > 0 && len(f.calls)+f.holds >= f.unanswered }

// tooMany is the refusal of a request while the connection is full.
func (f *inflight) tooMany(id []byte) []byte {
	return errorReply(id, jsonrpc.CodeInvalidRequest, "%d requests of this session have no answer yet, or their answers "+
		"were not read", f.unanswered)
}

// Hold implements [Conn].
func (f *inflight) Hold() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fullLocked() {
		return false
	}
	f.holds++
	return true
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
