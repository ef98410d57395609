package agenttest

import (
	"context"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
)

// Call is a call that was made in a [System].
type Call struct {
	*agent.Call
	// Done: it has been answered, with Result or Err.
	Done   bool
	Result *agent.Result
	Err    error
}

// recorder keeps every call in the order in which they began.
type recorder struct {
	mu    sync.Mutex
	calls []*Call
}

// record makes the call through next and keeps it.
func (r *recorder) record(ctx context.Context, c *agent.Call, next agent.Caller) (*agent.Result, error) {
	rec := &Call{Call: c}
	r.mu.Lock()
	r.calls = append(r.calls, rec)
	r.mu.Unlock()
	res, err := next.Call(ctx, c)
	r.mu.Lock()
	defer r.mu.Unlock()
	rec.Done, rec.Result, rec.Err = true, res, err
	return res, err
}

// list returns the calls of some targets, or of all.
func (r *recorder) list(target []string) (out []Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if len(target) == 0 || slices.Contains(target, c.Target()) || slices.Contains(target, c.Agent) {
			out = append(out, *c)
		}
	}
	return out
}
