// Package budget bounds trees of calls: an entry call with all the calls that it leads to, wherever
// they run. The process in which a tree begins counts its calls; the others ask it.
package budget

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/project"
)

// A Request asks for a call within a budget.
type Request struct {
	Budget string   `json:"budget"` // see [agent.Call.Budget]
	Target string   `json:"target"` // of the call
	Depth  int      `json:"depth"`
	Path   []string `json:"path"` // the callee included
}

// Trees are the trees that began in this process. It is safe for concurrent use.
type Trees struct {
	// Process is the name of this process, without a slash.
	Process string
	// Ask asks another process. nil: there is none.
	Ask func(ctx context.Context, process string, r Request) error

	mu   sync.Mutex
	open map[string]*tree // by the budget of its calls
}

// tree is an entry call that runs.
type tree struct {
	limits project.Budget
	key    string // of the budget, in the project file
	target string // of the entry call
	made   atomic.Int64
}

// begin opens the tree of an entry call, and names its budget.
func (t *Trees) begin(c *agent.Call, limits project.Budget, key string) string {
	name := t.Process + "/" + strconv.FormatUint(rand.Uint64(), 36)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[string]*tree{}
	}
	t.open[name] = &tree{limits: limits, key: key, target: c.Target()}
	return name
}

func (t *Trees) end(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, name)
}

// Spend counts a call of a tree that began here, or refuses it.
func (t *Trees) Spend(r Request) error {
	t.mu.Lock()
	of := t.open[r.Budget]
	t.mu.Unlock()
	at := " (" + calls.PathText(r.Path) + ")"
	if of == nil {
		return agent.Refusedf(agent.CodeResourceExhausted, "%s: the entry call that it belongs to has ended, and its "+
			"budget with it%s", r.Target, at)
	}
	if l := of.limits.Depth; l > 0 && r.Depth > l {
		return agent.Refusedf(agent.CodeResourceExhausted, "%s: the call is %d calls below %s, whose budget is %d "+
			"(%s.depth)%s", r.Target, r.Depth, of.target, l, of.key, at)
	}
	if l := int64(of.limits.Calls); l > 0 && of.made.Add(1) > l {
		return agent.Refusedf(agent.CodeResourceExhausted, "%s: the call is one more than the %d below %s that its "+
			"budget allows (%s.calls)%s", r.Target, l, of.target, of.key, at)
	}
	return nil
}

// spend is Spend wherever the tree began.
func (t *Trees) spend(ctx context.Context, c *agent.Call) error {
	r := Request{c.Budget, c.Target(), c.Depth, append(c.Path[:len(c.Path):len(c.Path)], c.Agent)}
	origin, _, _ := strings.Cut(c.Budget, "/")
	if origin == t.Process {
		return t.Spend(r)
	}
	if t.Ask == nil {
		return agent.Refusedf(agent.CodeUnavailable, "%s: the process that counts the calls of its tree is not of this "+
			"system", c.Target())
	}
	return t.Ask(ctx, origin, r)
}

// Limit bounds the trees of the entry calls to a callee, and counts the calls to it that belong to
// any tree with a budget. A call without one costs a comparison. key is that of the budget.
func (t *Trees) Limit(limits project.Budget, key string) agent.Middleware {
	own := limits.Calls > 0 || limits.Depth > 0 || limits.Duration > 0
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			switch {
			case c.Budget != "":
				if err := t.spend(ctx, c); err != nil {
					return nil, err
				}
			case own && c.Depth == 0:
				return t.enter(ctx, c, next, limits, key)
			}
			return next.Call(ctx, c)
		})
	}
}

// early is how long before the end of a duration another process may find that it is over.
const early = 100 * time.Millisecond

// enter makes an entry call with a budget.
func (t *Trees) enter(ctx context.Context, c *agent.Call, next agent.Caller, limits project.Budget,
	key string) (*agent.Result, error) {
	own := *c
	own.Budget = t.begin(c, limits, key)
	defer t.end(own.Budget)
	if limits.Duration <= 0 {
		return next.Call(ctx, &own)
	}
	ends := time.Now().Add(limits.Duration)
	within, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	res, err := next.Call(within, &own)
	if agent.CodeOf(err) != agent.CodeDeadlineExceeded || ctx.Err() != nil || time.Until(ends) > early {
		return res, err
	}
	e := agent.AsError(err)
	over := agent.Errorf(agent.CodeResourceExhausted, "%s: not done with all that it leads to within %v, its budget "+
		"(%s.duration) (%s)", c.Target(), limits.Duration, key,
		calls.PathText(append(c.Path[:len(c.Path):len(c.Path)], c.Agent)))
	over.NotExecuted = e.NotExecuted
	return nil, over
}
