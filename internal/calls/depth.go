package calls

import (
	"context"
	"errors"
	"time"

	"github.com/openmas/openmas/agent"
)

const (
	// MaxDepth ends call circles: A asks B asks A …
	MaxDepth = 16
	// DefaultTimeout is the deadline of a call in agenttest; a test of runtime says that it is that
	// of the project file too.
	DefaultTimeout = 30 * time.Second
)

// Limit gives a call its deadline and refuses it beyond MaxDepth. The time stands still while the
// caller is asked something.
func Limit(timeout time.Duration) agent.Middleware {
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, call *agent.Call) (*agent.Result, error) {
			if call.Depth > MaxDepth {
				return nil, agent.Refusedf(agent.CodeResourceExhausted, "%s: the call is %d calls deep, the limit is "+
					"%d: do agents call each other in a circle?", call.Target(), call.Depth, MaxDepth)
			}
			ctx, call, end := Bound(ctx, call, timeout)
			defer end()
			res, err := next.Call(ctx, call)
			if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) && agent.CodeOf(err) == agent.CodeInternal {
				err = agent.AsError(ctx.Err())
			}
			return res, err
		})
	}
}
