package agenttest

import (
	"context"
	"encoding/json"
	"maps"
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

// Calls are the calls so far of "agent.tool", or of a whole "agent", or, without a target, of all,
// in the order in which they began. An event that was delivered is a call too: "agent.topic".
func (s *System) Calls(target ...string) []Call {
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	var out []Call
	for _, c := range s.rec.calls {
		if len(target) == 0 || slices.Contains(target, c.Target()) || slices.Contains(target, c.Agent) {
			out = append(out, *c)
		}
	}
	return out
}

// Inputs are the inputs of [System.Calls] to the target, decoded; one that does not decode fails
// the test.
func Inputs[In any](s *System, target string) []In {
	s.t.Helper()
	var out []In
	for _, c := range s.Calls(target) {
		var in In
		if len(c.Input) > 0 {
			if err := json.Unmarshal(c.Input, &in); err != nil {
				s.t.Fatalf("the input %s of %s does not decode into %T: %v", c.Input, target, in, err)
			}
		}
		out = append(out, in)
	}
	return out
}

// directory reaches the agents of a System and records what goes there.
type directory struct{ s *System }

func (d directory) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return d.s.rec.record(ctx, c, agent.CallerFunc(d.route))
}

func (d directory) route(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	r := d.s.lookup(c.Agent)
	if r == nil {
		return nil, agent.Refusedf(agent.CodeNotFound, "there is no agent %q", c.Agent)
	}
	return r.chain.Call(ctx, c)
}

func (d directory) Agents() []agent.Info {
	d.s.mu.RLock()
	defer d.s.mu.RUnlock()
	var all []agent.Info
	for _, name := range slices.Sorted(maps.Keys(d.s.agents)) {
		all = append(all, d.s.agents[name].Host.Info())
	}
	return all
}

func (d directory) Agent(name string) (agent.Info, bool) {
	if r := d.s.lookup(name); r != nil {
		return r.Host.Info(), true
	}
	return agent.Info{}, false
}
