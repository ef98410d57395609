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
	maxResumes  = 5           // attempts to resume one stream without a new event between them
	resumeDelay = time.Second // before the first, unless the server sets another; doubled for each other
	maxDelay    = 5 * time.Minute
)

// LastEvent is the place in a stream of events up to which a client has read. Where the server
// numbers its events, a broken stream resumes from there.
type LastEvent struct {
	ID    string
	Retry time.Duration // how long the server wants a client to wait; 0: not set
	tries int           // since the last event
}

// Seen notes how far a stream was read, and whether an event came.
func (l *LastEvent) Seen(r *EventReader, came bool) {
	l.ID = cmp.Or(r.LastID, l.ID)
	l.Retry = cmp.Or(r.Retry, l.Retry)
	if came {
		l.tries = 0
	}
}

// Resume asks for the rest of the stream, with get, until the server sends it or refuses for good.
// A server may not have noticed yet that the old connection broke, so 409, 429 and 5xx are worth
// another attempt. The error is that of the last attempt, or cause if there was none. A 404 is
// returned as a response: its reader knows whether the session has ended.
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
			err = fmt.Errorf("resume the broken stream: the server answered %s: %s", resp.Status,
				bytes.TrimSpace(text))
			if s := resp.StatusCode; s < 500 && s != http.StatusTooManyRequests && s != http.StatusConflict {
				return nil, err
			}
		}
		cause = err
	}
	return nil, cause
}

func (l *LastEvent) wait(ctx context.Context) error {
	l.tries++
	return backoff.Sleep(ctx, l.waits().Wait(l.tries))
}

// waits are bounded, whatever a server asks for: a stream has no deadline.
func (l *LastEvent) waits() backoff.Policy {
	return backoff.Policy{Initial: cmp.Or(l.Retry, resumeDelay), Multiplier: 2, Max: maxDelay}
}
