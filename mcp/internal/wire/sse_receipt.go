package wire

import (
	"sync"
	"time"
)

// receiptTime bounds the wait for the receipts of POSTs under way when the server has ended the
// stream.
const receiptTime = time.Second

// receipts counts the POSTs under way: those whose receipt, the HTTP answer, has not come yet.
type receipts struct {
	mu    sync.Mutex
	n     int
	err   error         // why no POST may begin any more
	quiet chan struct{} // closed when none is under way; made with err
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

// stop makes begin fail with err, and returns a channel that is closed when no POST is under way.
func (r *receipts) stop(err error) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.quiet = err, make(chan struct{})
	if r.n == 0 {
		close(r.quiet)
	}
	return r.quiet
}
