package mcptest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp"
)

// endpoint is where the server's transport is.
func (s *Server) endpoint() string {
	return strings.TrimSuffix(s.url, "/") + cmp.Or(s.o.Path, s.o.Transport.Endpoint())
}

// answers waits until the endpoint does: many servers announce an address before they listen to it.
func (s *Server) answers(ctx context.Context) error {
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	waits := backoff.Policy{Initial: 20 * time.Millisecond, Multiplier: 2, Max: 500 * time.Millisecond}
	for attempt := 1; ; attempt++ {
		err := s.tryOnce(ctx, &http.Client{Transport: tr})
		if err == nil {
			s.o.Logf("attempt %d: GET %s: it answers", attempt, s.endpoint())
			return nil
		}
		s.o.Logf("attempt %d: GET %s: %v", attempt, s.endpoint(), err)
		timer := time.NewTimer(waits.Wait(attempt))
		select {
		case <-timer.C:
			continue
		case <-s.p.Done():
			err = fmt.Errorf("the server ended: %w", s.p.Err())
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w; the server printed:\n%s", context.Cause(ctx), err, strings.Join(s.Output(), "\n"))
		}
		timer.Stop()
		return err
	}
}

// tryOnce asks for the stream. Streamable HTTP need not have one, so there any answer but an error
// of the server will do.
func (s *Server) tryOnce(ctx context.Context, c *http.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint(), nil)
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
	case res.StatusCode >= 500, s.o.Transport == mcp.SSE && res.StatusCode != http.StatusOK:
		return errors.New(res.Status)
	case s.o.Transport == mcp.SSE && !stream:
		return fmt.Errorf("the answer is %s, not a stream of events", res.Header.Get("Content-Type"))
	}
	return nil
}
