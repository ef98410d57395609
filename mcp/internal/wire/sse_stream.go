package wire

import (
	"fmt"
	"net/http"
	"time"
)

// eventStream writes to the response that carries a session's events.
type eventStream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

func (s *eventStream) extend() {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.timeout)) // without deadlines in the writer, the server's apply
}

// Write sends p in pieces, each with a deadline of its own: a slow client may take long for much
// data, but one that stalls loses its session.
func (s *eventStream) Write(p []byte) (n int, err error) {
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
