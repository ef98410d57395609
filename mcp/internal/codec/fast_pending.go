package codec

import (
	"encoding/json"
	"strconv"
	"sync"

	"github.com/openmas/openmas/mcp/internal/wire"
)

// A FastID is the id of a request on the fast path. It is an integer, since some servers answer no
// other ids, and of 31 bits, since some keep them in an int32. The SDK counts its own from 1, so
// that an answer belongs to whoever its range says.
type FastID uint32

const (
	firstFastID FastID = 1 << 30
	lastFastID  FastID = 1<<31 - 1
)

// Append appends the id as JSON.
func (id FastID) Append(dst []byte) []byte { return strconv.AppendUint(dst, uint64(id), 10) }

// AnswerTo is the request of the fast path that a message answers; ok is false for those of the
// SDK.
func AnswerTo(env *wire.Envelope) (id FastID, ok bool) {
	n, ok := env.AnswerID()
	return FastID(n), ok && n >= int64(firstFastID) && n <= int64(lastFastID)
}

// PendingCalls are the requests of one session's fast path that wait for an answer. The zero value
// is ready; it is safe for concurrent use.
type PendingCalls struct {
	mu    sync.Mutex
	begun FastID // how many, modulo their range
	calls map[FastID]chan Response
	free  []chan Response // empty ones, to be used again: at most maxFree
}

const maxFree = 64

// Response is the answer to a request: Err is a [*jsonrpc.Error], or a [*wire.AnswerError] where
// there is nothing to understand.
type Response struct {
	Result json.RawMessage
	Err    error
}

// Begin gives a request an id that no pending one has, and the channel on which [Deliver] puts the
// answer. End must follow: the channel is not the request's any more then.
func (p *PendingCalls) Begin() (FastID, <-chan Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = map[FastID]chan Response{}
	}
	var answer chan Response
	if n := len(p.free); n > 0 {
		answer, p.free = p.free[n-1], p.free[:n-1]
	} else {
		answer = make(chan Response, 1)
	}
	for {
		id := firstFastID + p.begun
		p.begun = (p.begun + 1) % (lastFastID - firstFastID + 1)
		if _, taken := p.calls[id]; !taken {
			p.calls[id] = answer
			return id, answer
		}
	}
}

// End frees an id.
func (p *PendingCalls) End(id FastID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := p.calls[id]
	delete(p.calls, id)
	select {
	case <-answer: // which nobody took
	default:
	}
	if len(p.free) < maxFree {
		p.free = append(p.free, answer)
	}
}

// Deliver takes a message that answers a request of the fast path, also one that came too late.
func (p *PendingCalls) Deliver(env *wire.Envelope) bool {
	id, ours := AnswerTo(env)
	if !ours {
		return false
	}
	r := ReadResponse(env)
	p.mu.Lock()
	defer p.mu.Unlock() // or it could reach the next request on the same channel
	select {
	case p.calls[id] <- r:
	default: // nobody waits for it, or it is the second answer to one request
	}
	return true
}

// ReadResponse copies what an answer says.
func ReadResponse(env *wire.Envelope) Response {
	result, err := env.ReadAnswer()
	return Response{Result: result, Err: err}
}
