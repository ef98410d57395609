package calls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
// caller is asked something. key is what sets the timeout.
func Limit(timeout time.Duration, key string) agent.Middleware {
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, call *agent.Call) (*agent.Result, error) {
			if call.Depth > MaxDepth {
				return nil, agent.Refusedf(agent.CodeResourceExhausted, "%s: the call is %d calls deep, the limit is "+
					"%d: do agents call each other in a circle? (%s)", call.Target(), call.Depth, MaxDepth,
					PathText(append(slices.Clone(call.Path), call.Agent)))
			}
			parent := ctx
			ctx, call, end := Bound(ctx, call, timeout)
			defer end()
			res, err := next.Call(ctx, call)
			if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) && agent.CodeOf(err) == agent.CodeInternal {
				err = agent.AsError(ctx.Err())
			}
			return res, overdue(parent, ctx, call, err, timeout, key)
		})
	}
}

// PathText is a path for people.
func PathText(path []string) string { return strings.Join(path, " > ") }

// overdue says of an error that is no more than that of a context which deadline it was: that of
// the caller, or the timeout of the call, which key sets: whichever is earlier. A process elsewhere
// may notice it before this one does.
func overdue(parent, within context.Context, call *agent.Call, err error, timeout time.Duration,
	key string) error {
	const bare = "context deadline exceeded"
	if err == nil || agent.CodeOf(err) != agent.CodeDeadlineExceeded || !strings.HasSuffix(err.Error(), bare) {
		return err
	}
	e := *agent.AsError(err)
	if e.Message = strings.TrimSuffix(e.Message, bare); e.Message == "" {
		e.Message = call.Target() + ": "
	}
	ends, _ := within.Deadline()
	if above, ok := parent.Deadline(); ok && !ends.Before(above) {
		e.Message += "not done before the deadline of its caller"
	} else {
		e.Message += fmt.Sprintf("not done within %v, its timeout (%s)", timeout, key)
	}
	return &e
}
