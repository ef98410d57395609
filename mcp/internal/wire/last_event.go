package wire

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/openmas/openmas/internal/backoff"
)

const (
	maxResumes  = 5           // tries to take up one stream in a row, without a new event
	resumeDelay = time.Second // before the first, unless the server says otherwise; doubled for each other
	maxDelay    = 5 * time.Minute
)

// LastEvent is where a stream of events was when it broke. Where the server numbers its events, it
// is taken up again from there.
type LastEvent struct {
	ID    string
	Retry time.Duration // how long the server wants to be left alone; 0: it does not say
	tries int
}

// Seen notes how far a stream was read, and whether anything came.
func (l *LastEvent) Seen(r *EventReader, heard bool) {
	l.ID = cmp.Or(r.LastID, l.ID)
	l.Retry = cmp.Or(r.Retry, l.Retry)
	if heard {
		l.tries = 0
	}
}

// Resume asks for the rest of the stream, with get, until the server gives it or says that it will
// not. Where that cannot be, or takes too long, the error is the last one, of which cause is the
// first. A session that the server does not know is for the reader of the response to tell.
func (l *LastEvent) Resume(ctx context.Context, cause error, get func(ctx context.Context, id string) (*http.Response,
	error)) (*http.Response, error) {
	if l.ID == "" {
		return nil, cause
	}
	for l.tries < maxResumes && l.wait(ctx) == nil {
		resp, err := get(ctx, l.ID)
		if err == nil {
			if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotFound {
				return resp, nil
			}
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // what could be read is shown
			_ = resp.Body.Close()                                 // the rest is of no interest
			err = fmt.Errorf("take up the broken stream again: the server answered %s: %s", resp.Status,
				bytes.TrimSpace(text))
			// it may not have noticed yet that the connection broke
			if s := resp.StatusCode; s < 500 && s != http.StatusTooManyRequests && s != http.StatusConflict {
				return nil, err
			}
		}
		cause = err
	}
	return nil, cause
}

// wait lets the time pass before a try, which grows from one to the next.
func (l *LastEvent) wait(ctx context.Context) error {
	l.tries++
	return backoff.Sleep(ctx, l.waits().Wait(l.tries))
}

// waits are bounded, whatever a server asks for: a stream that nobody waits for has no deadline.
func (l *LastEvent) waits() backoff.Policy {
	return backoff.Policy{Initial: cmp.Or(l.Retry, resumeDelay), Multiplier: 2, Max: maxDelay}
}
