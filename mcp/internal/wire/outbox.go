package wire

import (
	"context"
	"io"
	"sync"

	"github.com/openmas/openmas/mcp/internal/budget"
)

// outbox is the bounded queue of one stream's outgoing messages. Any number of writers put; one
// goroutine flushes, and sends together what has gathered while it was sending. A writer waits for
// room no longer than its context allows, so a peer that never reads blocks nobody for ever.
type outbox struct {
	prefix, suffix string        // around each message
	limit          int           // bytes queued before writers wait; one message of any size always fits an empty queue
	wake           chan struct{} // holds a token when there is something to take, or the outbox has closed
	// memory is charged for messages from when they are put until they were sent; nil: there is no
	// bound. It is not changed any more once messages come.
	memory *budget.Budget

	mu    sync.Mutex
	queue batchOut
	spare batchOut
	room  chan struct{} // closed when there is room again; nil while nobody waits
	err   error         // why nothing can be put any more
}

// batchOut is a run of messages and, for those with a Trace, where each stands in it.
type batchOut struct {
	data    []byte
	marks   []mark
	charged int // bytes of memory
}

type mark struct {
	start, end int
	trace      *Trace
	own        bool
}

func newOutbox(prefix, suffix string, limit int) *outbox {
	return &outbox{prefix: prefix, suffix: suffix, limit: limit, wake: make(chan struct{}, 1)}
}

// put queues one message. Errors are NotSentErrors.
func (o *outbox) put(ctx context.Context, t *Trace, msg []byte) error {
	n := len(o.prefix) + len(msg) + len(o.suffix)
	t.queue()
	o.memory.Take(n)
	o.mu.Lock()
	for !o.fits(n) {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			o.memory.Release(n)
			return &NotSentError{Cause: ctx.Err()}
		}
		o.mu.Lock()
	}
	defer o.mu.Unlock()
	err := o.add(t, msg)
	if err != nil {
		o.memory.Release(n)
	} else if n >= budget.Small {
		o.queue.charged += n
	}
	return err
}

// tryPut is put for a message that may be lost: it does not wait.
func (o *outbox) tryPut(msg []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fits(len(o.prefix) + len(msg) + len(o.suffix)) {
		_ = o.add(nil, msg) // see above
	}
}

func (o *outbox) fits(n int) bool {
	return o.err != nil || len(o.queue.data) == 0 || len(o.queue.data)+n <= o.limit
}

func (o *outbox) add(t *Trace, msg []byte) error {
	if o.err != nil {
		return &NotSentError{Cause: o.err}
	}
	q := &o.queue
	start := len(q.data)
	q.data = append(append(append(q.data, o.prefix...), msg...), o.suffix...)
	if t != nil {
		q.marks = append(q.marks, mark{start: start, end: len(q.data), trace: t})
	}
	o.signal()
	return nil
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close makes puts fail with err; what is queued can still be taken.
func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	o.signal()
}

// failure is the reason why nothing can be put any more; nil if it can.
func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// flush writes what is queued to w.
func (o *outbox) flush(w io.Writer) error {
	for {
		b := o.take()
		if len(b.data) == 0 {
			return nil
		}
		n, err := w.Write(b.data)
		o.sent(b, n)
		if err != nil {
			return err
		}
	}
}

// take returns what is queued, without the messages whose callers have withdrawn them. It may be
// empty.
func (o *outbox) take() batchOut {
	o.mu.Lock()
	if len(o.queue.data) == 0 {
		o.mu.Unlock()
		return batchOut{}
	}
	b := o.queue
	o.queue, o.spare = o.spare, batchOut{}
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	o.mu.Unlock()
	for i := len(b.marks) - 1; i >= 0; i-- {
		m := &b.marks[i]
		var ok bool
		if m.own, ok = m.trace.Claim(); !ok {
			b.cut(i)
		}
	}
	return b
}

// cut removes message i.
func (b *batchOut) cut(i int) {
	m := b.marks[i]
	b.data = append(b.data[:m.start], b.data[m.end:]...)
	b.marks = append(b.marks[:i], b.marks[i+1:]...)
	for ; i < len(b.marks); i++ {
		b.marks[i].start -= m.end - m.start
		b.marks[i].end -= m.end - m.start
	}
}

// sent notes that n bytes of a batch were written, and takes its memory back.
func (o *outbox) sent(b batchOut, n int) {
	o.memory.Release(b.charged)
	for i := range b.marks {
		if m := &b.marks[i]; m.start >= n {
			m.trace.Undo(m.own)
		}
		b.marks[i] = mark{}
	}
	if cap(b.data) > 256<<10 { // what one large message grew is not kept
		return
	}
	o.mu.Lock()
	o.spare = batchOut{data: b.data[:0], marks: b.marks[:0]}
	o.mu.Unlock()
}
