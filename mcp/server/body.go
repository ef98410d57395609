package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/budget"
)

// restoreBody makes a body that was read readable for the SDK; nil: there was none.
func restoreBody(r *http.Request, body []byte) {
	if body != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
}

// refuse turns a request away; the client may come back.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
}

// readBody reads the body of a POST within the limits. held bytes of b are to be released.
func readBody(w *deadlineWriter, r *http.Request, l Limits, b *budget.Budget) (body []byte, held int, ok bool) {
	// not every writer has deadlines; then the server's hold
	_ = w.rc.SetReadDeadline(time.Now().Add(l.ReadTimeout))
	in, size := r.Body, int(r.ContentLength)
	if size < 0 || size > l.MaxBody {
		in, size = http.MaxBytesReader(w.ResponseWriter, r.Body, int64(l.MaxBody)), -1
	}
	body, held, err := b.Read(in, size)
	if err == nil {
		_ = w.rc.SetReadDeadline(time.Time{}) // else it also keeps net/http from waiting for the rest
		return body, held, true
	}
	b.Release(held)
	if exhausted := (*budget.ExhaustedError)(nil); errors.As(err, &exhausted) {
		refuse(w, agent.Refusedf(agent.CodeResourceExhausted, "%w", exhausted))
		return nil, 0, false
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		http.Error(w, fmt.Sprintf("the body exceeds %d bytes, the limit", large.Limit),
			http.StatusRequestEntityTooLarge)
		return nil, 0, false
	}
	http.Error(w, "cannot read the body", http.StatusBadRequest)
	return nil, 0, false
}

// deadlineWriter gives every write its own deadline: a client that does not read must not keep its
// answer, and the SDK's lock, for ever.
type deadlineWriter struct {
	http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration

	mu       sync.Mutex
	extended time.Time
	over     bool // nothing may be written any more
}

func newDeadlineWriter(w http.ResponseWriter, timeout time.Duration) *deadlineWriter {
	return &deadlineWriter{ResponseWriter: w, rc: http.NewResponseController(w), timeout: timeout}
}

func (p *deadlineWriter) extend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	// a short answer would do it twice
	if now := time.Now(); !p.over && now.Sub(p.extended) > p.timeout/100 {
		p.extended = now
		_ = p.rc.SetWriteDeadline(now.Add(p.timeout))
	}
}

// cut makes a write that is under way fail, and all later ones, where the writer has deadlines.
func (p *deadlineWriter) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	_ = p.rc.SetWriteDeadline(time.Now()) // not every writer has deadlines
}

// Write implements http.ResponseWriter.
func (p *deadlineWriter) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}

// Unwrap leads http.ResponseController to Flush.
func (p *deadlineWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }
