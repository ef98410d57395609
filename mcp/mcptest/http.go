package mcptest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
)

// A prober asks a server over HTTP whether it listens.
type prober struct {
	endpoint  string
	transport mcp.Transport
	p         *child.Process
	logf      func(format string, args ...any)
}

// answers waits until the endpoint does: many servers announce an address before they listen to it.
func (b *prober) answers(ctx context.Context) error {
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	waits := backoff.Policy{Initial: 20 * time.Millisecond, Multiplier: 2, Max: 500 * time.Millisecond}
	for attempt := 1; ; attempt++ {
		err := b.tryOnce(ctx, &http.Client{Transport: tr})
		if err == nil {
			b.logf("attempt %d: GET %s: it answers", attempt, b.endpoint)
			return nil
		}
		b.logf("attempt %d: GET %s: %v", attempt, b.endpoint, err)
		timer := time.NewTimer(waits.Wait(attempt))
		select {
		case <-timer.C:
			continue
		case <-b.p.Done():
			err = fmt.Errorf("the server ended: %w", b.p.Err())
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w; the server printed:\n%s", context.Cause(ctx), err, strings.Join(b.p.Tail(), "\n"))
		}
		timer.Stop()
		return err
	}
}

// tryOnce asks for the stream. Streamable HTTP need not have one, so there any answer but an error
// of the server will do.
func (b *prober) tryOnce(ctx context.Context, c *http.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.endpoint, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	stream := strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")
	switch {
	case res.StatusCode >= 500, b.transport == mcp.SSE && res.StatusCode != http.StatusOK:
		return errors.New(res.Status)
	case b.transport == mcp.SSE && !stream:
		return fmt.Errorf("the answer is %s, not a stream of events", res.Header.Get("Content-Type"))
	}
	return nil
}
