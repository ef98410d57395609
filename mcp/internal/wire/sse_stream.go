package wire

import (
	"fmt"
	"net/http"
	"time"
)

// eventStream writes to a response under a deadline for each piece.
type eventStream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

func (s *eventStream) extend() {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.timeout)) // not every writer has deadlines; then the server's hold
}

// flush sends what is queued.
func (s *eventStream) flush(out *outbox) error {
	for {
		b := out.take()
		if len(b.data) == 0 {
			return nil
		}
		n, err := s.write(b.data)
		out.sent(b, n)
		if err != nil {
			return err
		}
	}
}

// write sends p in pieces: a slow client may take long for much, but one that stalls must not.
func (s *eventStream) write(p []byte) (n int, err error) {
	for n < len(p) {
		s.extend()
		k, err := s.w.Write(p[n:min(len(p), n+64<<10)])
		if n += k; err == nil {
			err = s.rc.Flush()
		}
		if err != nil {
			return n, fmt.Errorf("the client does not take its events: %w", err)
		}
	}
	return n, nil
}
