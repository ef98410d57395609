package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/wire"
)

// Replies are the calls of the lane that wait for an answer: as many as are in flight.
type Replies struct {
	last atomic.Uint64
	mu   sync.Mutex
	wait map[uint64]chan Reply
}

// Reply is the answer to a request: err is a *jsonrpc.Error, or why there is no result.
type Reply struct {
	Result json.RawMessage
	Err    error
}

func (r *Replies) Next() uint64 { return r.last.Add(1) }

// Expect must be followed by forget.
func (r *Replies) Expect(n uint64) <-chan Reply {
	ch := make(chan Reply, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wait == nil {
		r.wait = map[uint64]chan Reply{}
	}
	r.wait[n] = ch
	return ch
}

func (r *Replies) Forget(n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.wait, n)
}

// Take takes a message that answers a request of the lane, also one that came too late.
func (r *Replies) Take(env *wire.Envelope) bool {
	if env.Method != nil {
		return false
	}
	n, ours := ExpressID(env.ID)
	if !ours {
		return false
	}
	r.mu.Lock()
	ch := r.wait[n]
	delete(r.wait, n)
	r.mu.Unlock()
	if ch != nil {
		ch <- ReadReply(env)
	}
	return true
}

var errNoResult = errors.New("the answer holds neither a result nor an error")

// ReadReply copies what an answer says.
func ReadReply(env *wire.Envelope) Reply {
	switch {
	case env.Error != nil:
		rpc := new(jsonrpc.Error)
		if err := json.Unmarshal(env.Error, rpc); err != nil {
			return Reply{Err: err}
		}
		return Reply{Err: rpc}
	case env.Result == nil:
		return Reply{Err: errNoResult}
	}
	return Reply{Result: bytes.Clone(env.Result)}
}
