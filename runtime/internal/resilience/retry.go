package resilience

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
)

// Options are what [Retry] needs to know besides its [Policy]. All are optional; the functions are
// called concurrently and must be quick.
type Options struct {
	// Budget bounds the retries of all that share it; nil does not.
	Budget *Budget
	// Repeatable reports whether a call may be executed any number of times: what its tool
	// declares, where that is trusted, or the project file says. nil: none may.
	Repeatable func(*agent.Call) bool
	// Keyed reports whether everyone whom a next attempt can reach keeps the results of calls under
	// their keys, and so would not execute this one a second time. It is asked for calls with a key
	// only. nil: nobody does.
	Keyed func(*agent.Call) bool
	// OnRetry gets each retry when it begins: how long it had to wait, and why the attempt before
	// it failed. c is the call as it is tried, with its number, and may be changed. The attempt
	// runs in the context that it returns; the function, if not nil, gets its end.
	OnRetry func(ctx context.Context, c *agent.Call, waited time.Duration, cause error) (context.Context, func(error))
	// OnHelped gets each call that succeeded with attempt n, from the second on, when it had taken
	// took since its first one failed, and why that one did.
	OnHelped func(ctx context.Context, c *agent.Call, n int, took time.Duration, first error)
}

// Retry makes calls again that failed in a way that [Classify] finds safe and worthwhile. It
// belongs around all that one attempt does, the choice of the instance included, and within the
// call's deadline.
//
// Each attempt has its number in [agent.Call.Attempt]. A callee's RetryAfter is waited for, and the
// jitter of the policy on top; then a turn of the budget, at most for the policy's Max. It stops
// when ctx ends, and does not begin a wait that the deadline would cut short. What it returns in
// the end is the last error, with its code and cause and the number of attempts in its message; it
// says NotExecuted only if that is true of all attempts.
//
// The policy should be valid; Retry never panics over one that is not.
func Retry(p Policy, o Options) agent.Middleware {
	return func(next agent.Caller) agent.Caller {
		if p.Attempts <= 1 {
			return next
		}
		return &retrier{policy: p, o: o, next: next}
	}
}

type retrier struct {
	policy Policy
	o      Options
	next   agent.Caller
}

// Call is the path of calls that succeed at once: it costs two atomic additions and no allocation.
func (r *retrier) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	res, err := r.attempt(ctx, c)
	if err == nil {
		return res, nil
	}
	return r.again(ctx, c, err)
}

func (r *retrier) attempt(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	r.o.Budget.begin()
	defer r.o.Budget.end()
	return r.next.Call(ctx, c)
}

// again goes on after the first attempt at c failed with err.
func (r *retrier) again(ctx context.Context, c *agent.Call, err error) (*agent.Result, error) {
	repeatable := r.o.Repeatable != nil && r.o.Repeatable(c)
	keyed := c.Key != "" && r.o.Keyed != nil && r.o.Keyed(c)
	mayHaveRun := false
	first, failed := err, time.Now()
	for n := 1; ; n++ {
		e := agent.AsError(err)
		mayHaveRun = mayHaveRun || !e.NotExecuted
		if n >= r.policy.Attempts || Classify(e, repeatable, keyed) != Again {
			return nil, lastError(err, n, mayHaveRun, "")
		}
		began := time.Now()
		if !sleep(ctx, sum(max(e.RetryAfter, 0), r.policy.Backoff.Wait(n))) {
			return nil, lastError(err, n, mayHaveRun, "no time for another")
		}
		actx, release, ok := r.o.Budget.acquire(ctx, max(r.policy.Backoff.Max, 0))
		if !ok {
			return nil, lastError(err, n, mayHaveRun, "no retry budget for another")
		}
		if ctx.Err() != nil {
			release()
			return nil, lastError(err, n, mayHaveRun, "no time for another")
		}
		var res *agent.Result
		res, err = r.retry(actx, release, c, n+1, time.Since(began), err)
		if err == nil {
			if r.o.OnHelped != nil {
				r.o.OnHelped(ctx, c, n+1, time.Since(failed), first)
			}
			return res, nil
		}
	}
}

func (r *retrier) retry(ctx context.Context, release func(), c *agent.Call, n int, waited time.Duration,
	cause error) (*agent.Result, error) {
	defer release()
	next := *c
	next.Attempt = max(c.Attempt, 1) + n - 1
	if r.o.OnRetry == nil {
		return r.attempt(ctx, &next)
	}
	ctx, done := r.o.OnRetry(ctx, &next, waited, cause)
	res, err := r.attempt(ctx, &next)
	if done != nil {
		done(err)
	}
	return res, err
}

// sum adds what is not negative; a RetryAfter off a wire may be anything.
func sum(a, b time.Duration) time.Duration { return min(a, math.MaxInt64-b) + b }

// sleep waits for d and reports whether it did: false at once when d is longer than ctx lasts, and
// as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && d >= time.Until(end) {
		return false
	}
	return backoff.Sleep(ctx, d) == nil
}

// lastError is the error of a call after n attempts. It is err itself when there was but one and
// nothing hindered the next.
func lastError(err error, n int, mayHaveRun bool, why string) error {
	if n == 1 && why == "" {
		return err
	}
	last := agent.AsError(err) // the code, the details and the cause stay
	note := "after 1 attempt"
	if n > 1 {
		note = fmt.Sprintf("after %d attempts", n)
	}
	if why != "" {
		note += ", " + why
	}
	out := agent.Errorf(last.Code, "%w", &tried{last, n, strings.TrimPrefix(last.Message+" ("+note+")", " ")})
	out.RetryAfter, out.Details, out.Raw, out.Logged = last.RetryAfter, last.Details, last.Raw, last.Logged
	out.RPC = last.RPC
	out.NotExecuted = last.NotExecuted && !mayHaveRun
	return out
}

// tried is the cause of an error that ended several attempts.
type tried struct {
	last *agent.Error
	n    int
	text string
}

func (t *tried) Error() string { return t.text }
func (t *tried) Unwrap() error { return t.last }

// Attempts is how often the call was tried.
func (t *tried) Attempts() int { return t.n }

// A Policy is how often a call is tried and how long to wait in between.
type Policy struct {
	// Attempts at a call in all, the first one included; 1 turns retries off.
	Attempts int
	// Backoff is the wait before each further attempt. Its Max also bounds the wait for a turn of
	// the budget.
	Backoff backoff.Policy
}
