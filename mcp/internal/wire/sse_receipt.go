package wire

import (
	"sync"
	"time"
)

// receiptTime is how long the receipts of POSTs under way may take when the server has ended the
// stream.
const receiptTime = time.Second

// receipts counts the POSTs under way. A server that ends a session turns away what comes too late,
// and that answer is proof that the message was not acted on: so an ending connection waits for it.
type receipts struct {
	mu    sync.Mutex
	n     int
	err   error         // why no POST may begin any more
	quiet chan struct{} // closed when the last one is over; made with err
}

func (r *receipts) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.n++
	}
	return r.err
}

func (r *receipts) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.quiet != nil {
		close(r.quiet)
	}
}

// stop lets no POST begin, and returns a channel that is closed when none is under way.
func (r *receipts) stop(err error) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.quiet = err, make(chan struct{})
	if r.n == 0 {
		close(r.quiet)
	}
	return r.quiet
}
