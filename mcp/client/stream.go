package client

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// streamWaits are those before a stream is asked for again, unless the server wants others.
var streamWaits = backoff.Policy{Initial: time.Second, Multiplier: 2, Max: 30 * time.Second, Jitter: 0.2}

// What a server may want to be waited for, whatever it says: a stream has no deadline.
const (
	minStreamRetry = 100 * time.Millisecond
	maxStreamRetry = 5 * time.Minute
)

// waitsAfter are the waits where the server wants to be asked again after retry; 0: it does not
// say.
func waitsAfter(retry time.Duration) backoff.Policy {
	p := streamWaits
	if retry > 0 {
		p.Initial, p.Jitter = min(max(retry, minStreamRetry), maxStreamRetry), 0
		p.Max = max(p.Max, p.Initial)
	}
	return p
}

// copyMessages writes the messages of a stream to w, whole, and returns why the stream ended.
func copyMessages(w io.Writer, f *filteredStream) error {
	for f.err == nil {
		f.event()
		if _, err := f.out.WriteTo(w); err != nil {
			return err
		}
	}
	return f.err
}

// resumed is the request for the stream again, from an event on if there is one.
func resumed(ctx context.Context, r *http.Request, lastID string) *http.Request {
	r = r.Clone(ctx)
	if lastID != "" {
		r.Header.Set(codec.LastEventHeader, lastID)
	}
	return r
}

// body is an answer's body: it ends its request when it is closed, and is bounded.
type body struct {
	io.ReadCloser
	end   func()
	limit int64 // in bytes; 0: none
	size  int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.size += int64(n); b.limit > 0 && b.size > b.limit {
		return 0, &wire.TooLargeError{Limit: int(b.limit), Inbound: true}
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}
