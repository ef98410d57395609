package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
)

// Reconnect calls connect until it returns nil, and returns nil then. It never gives up by itself:
// any other return is ctx's end, and wraps its cause and the last error of connect. A panic in
// connect is an error. Where that error asks for a longer wait ([agent.Error.RetryAfter]), it gets
// it, up to ten times Max; see [NotYetError] too. onFail, if not nil, gets each failure and the
// wait that follows it, 0 where that is not a time; it must be quick.
func Reconnect(ctx context.Context, p backoff.Policy, connect func(context.Context) error,
	onFail func(attempt int, wait time.Duration, err error)) error {
	var last error
	for n := 1; ctx.Err() == nil; n++ {
		if last = Try(ctx, connect); last == nil {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
		wait := max(p.Wait(n), min(agent.AsError(last).RetryAfter, 10*p.Max))
		var e *NotYetError
		if errors.As(last, &e) {
			wait = max(wait, e.Rest)
		}
		until := e != nil && e.Until != nil
		if until {
			wait = 0
		}
		if onFail != nil {
			onFail(n, wait, last)
		}
		if until {
			e.Until(ctx)
			continue
		}
		_ = backoff.Sleep(ctx, wait) // the loop looks
	}
	if last == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), last)
}
