package server

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/openmas/openmas/mcp/internal/wire"
)

const (
	eventCost     = 256 // bytes that an event takes beside its data, with its part of what the stream takes
	sessionsShare = 4   // one session may have this part of the store
)

// eventStore keeps what was sent on the streams of streamable HTTP, for clients that lose a
// connection and come back. It is the SDK's [sdk.EventStore], with bounds that hold: one session
// has a part at most, its oldest events make room for its new ones; and when all is full, the
// session that keeps the most gives way. A session that keeps less than its equal part loses
// nothing to others.
type eventStore struct {
	max, share int // bytes

	mu       sync.Mutex
	size     int
	sessions map[string]*keptSession
	largest  largestFirst
}

// keptSession is what is kept of one session.
type keptSession struct {
	size    int
	place   int // in the heap
	streams map[string]*keptStream
	order   []*keptStream // of each event, the oldest first
}

// keptStream is one stream of it: "" is what the server says on its own, others are answers to a
// POST. Its events are numbered from 0.
type keptStream struct {
	id        string
	first     int // the number of the oldest event that is kept
	events    [][]byte
	done      bool // the answer was sent: nothing follows
	delivered int  // of "": the number of the last event that somebody was there to hear
}

func (k *keptStream) next() int { return k.first + len(k.events) }

func newEventStore(size int) *eventStore {
	return &eventStore{max: size, share: size / sessionsShare, sessions: map[string]*keptSession{}}
}

var errSessionOver = errors.New("the session is over")

// Open implements [sdk.EventStore]. The session's own stream is the first, and opens the session.
func (s *eventStore) Open(ctx context.Context, session, stream string) error {
	if c := claimOf(ctx); c != nil && stream != "" {
		c.use.claim(c, stream, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.sessions[session]
	if k == nil && stream == "" {
		k = &keptSession{streams: map[string]*keptStream{}}
		s.sessions[session] = k
		heap.Push(&s.largest, k)
	}
	if k != nil && k.streams[stream] == nil {
		k.streams[stream] = &keptStream{id: stream, delivered: -1}
	}
	return nil
}

// Append implements [sdk.EventStore].
func (s *eventStore) Append(_ context.Context, session, stream string, data []byte) error {
	var env wire.Envelope
	answer := env.Scan(data) && env.Method == nil && env.ID != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.sessions[session]
	if k == nil {
		return errSessionOver
	}
	st := k.streams[stream]
	if st == nil {
		return nil // of a batch, after its first answer was pushed out, or of a request that nobody can come back for
	}
	st.done = st.done || answer && stream != ""
	st.events = append(st.events, data)
	k.order = append(k.order, st)
	s.grow(k, len(data)+eventCost)
	for k.size > s.share {
		s.drop(k)
	}
	for s.size > s.max {
		s.drop(s.largest[0])
	}
	return nil
}

// unused forgets the stream of a request that has ended if nothing was ever said on it: the SDK
// refused the request, or the client has no event to come back with. What takes no part of the
// store must not be left in it.
func (s *eventStore) unused(session, stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, err := s.find(session, stream); err == nil && stream != "" && st.next() == 0 {
		delete(s.sessions[session].streams, stream)
	}
}

// grow notes that a session keeps n bytes more.
func (s *eventStore) grow(k *keptSession, n int) {
	s.size += n
	k.size += n
	heap.Fix(&s.largest, k.place)
}

// drop forgets the oldest event of a session.
func (s *eventStore) drop(k *keptSession) {
	st := k.order[0]
	k.order[0] = nil
	k.order = k.order[1:]
	data := st.events[0]
	st.events[0] = nil
	st.events = st.events[1:]
	st.first++
	if len(st.events) == 0 && st.done {
		delete(k.streams, st.id)
	}
	s.grow(k, -len(data)-eventCost)
}

// After implements [sdk.EventStore].
func (s *eventStore) After(_ context.Context, session, stream string, index int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		events, err := s.after(session, stream, index)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, data := range events {
			if !yield(data, nil) {
				return
			}
		}
	}
}

func (s *eventStore) after(session, stream string, index int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(session, stream)
	if err != nil {
		return nil, err
	}
	if n := index + 1 - st.first; n >= 0 && n <= len(st.events) {
		return slices.Clone(st.events[n:]), nil // drop changes the slice
	}
	return nil, errNotKept
}

var errNotKept = errors.New("what followed this event is not kept any more")

func (s *eventStore) find(session, stream string) (*keptStream, error) {
	k := s.sessions[session]
	if k == nil {
		return nil, errSessionOver
	}
	if st := k.streams[stream]; st != nil {
		return st, nil
	}
	return nil, errNotKept
}

// from is the number of the event after which a client that has seen event index can go on: the
// same, or a later one where those between were pushed out. It is an error when there is nothing
// left to go on with.
func (s *eventStore) from(session, stream string, index int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(session, stream)
	if err == nil && index >= st.next() {
		err = fmt.Errorf("there is no event %d on this stream", index)
	}
	if err != nil {
		return 0, err
	}
	return max(index, st.first-1), nil
}

// waits reports whether nothing has followed an event yet, and something will.
func (s *eventStore) waits(session, stream string, index int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(session, stream)
	return err == nil && !st.done && index+1 == st.next()
}

// lastDelivered is the number of the event after which a client begins that listens for what the
// server says on its own: it gets what was said when nobody listened. Negative: from the beginning.
func (s *eventStore) lastDelivered(session string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(session, "")
	if err != nil {
		return -1
	}
	return max(st.delivered, st.first-1)
}

// markDelivered notes that nobody listens any more to what the server says on its own.
func (s *eventStore) markDelivered(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, err := s.find(session, ""); err == nil {
		st.delivered = st.next() - 1
	}
}

// SessionClosed implements [sdk.EventStore].
func (s *eventStore) SessionClosed(_ context.Context, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.sessions[session]; k != nil {
		s.size -= k.size
		heap.Remove(&s.largest, k.place)
		delete(s.sessions, session)
	}
	return nil
}

// largestFirst is a heap of sessions.
type largestFirst []*keptSession

func (h largestFirst) Len() int { return len(h) }

func (h largestFirst) Less(i, j int) bool { return h[i].size > h[j].size }

func (h largestFirst) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].place, h[j].place = i, j }

// Push implements [heap.Interface].
func (h *largestFirst) Push(x any) {
	k := x.(*keptSession)
	k.place = len(*h)
	*h = append(*h, k)
}

// Pop implements [heap.Interface].
func (h *largestFirst) Pop() any {
	last := len(*h) - 1
	k := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return k
}
