// Package route leads a call to the agent that it names: the directory of the agents, the chain of
// concerns in front of each, and the instances behind.
package route

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/internal/budget"
	"github.com/openmas/openmas/runtime/internal/meter"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/telemetry"
	"github.com/openmas/openmas/runtime/project"
)

// Options describe a [Callee].
type Options struct {
	Name string
	Over string // one of package project's Over… words
	// Route takes the calls that have passed the chain.
	Route agent.Caller
	// Shown are the instances for status: the hosts where the agent lives in this process, else its
	// sessions.
	Shown *Pool

	// Policy of calls, and of the tools that have one of their own.
	Policy       project.Policy
	ToolPolicies map[string]project.Policy
	// TimeoutKey is what sets the timeout of a tool with a policy of its own, or of all others.
	TimeoutKey func(tool string) string
	// Binding of an agent in this process that is reached over the broker, and what it serves.
	Binding communicator.Binding
	Service communicator.Service
	// Remote: it lives in another process of the project.
	Remote bool
	// Trusted: what the agent declares about its tools may be relied on.
	Trusted bool
	// Alone reports whether the sessions lead to one process only, which then knows of all calls
	// with a key. nil: they do.
	Alone func() bool
	// Mask takes the project's secrets out of an error.
	Mask func(error) error

	// Log gets the end of each call; nil: nobody does.
	Log       *calls.Log
	Telemetry *telemetry.Telemetry
	// Measured gets how long each call took; nil: nobody does.
	Measured *telemetry.Operations
	Hop      telemetry.Hop
	Budget   *resilience.Budget // of retries
	// Trees bounds the trees of calls that begin here; nil: nothing does.
	Trees *budget.Trees
	// BudgetKey is what sets the budget of a tool with a policy of its own, or of all others.
	BudgetKey func(tool string) string
	// Before is what this one is to replace, whose figures it goes on with; nil: there is none.
	Before *Callee
}

// A Callee is one agent as its callers in this process see it.
type Callee struct {
	Options
	seen *seen
	// gate counts the calls and events under way, and is shut once another one has taken its place,
	// or the agent is not there any more; events are those among them that are no calls.
	gate   calls.Gate
	events atomic.Int64
	next   atomic.Pointer[Callee] // what has taken its place; nil: nothing
	away   atomic.Pointer[Callee] // see Divert

	chain  chain
	byTool map[string]*chain // of tools with a policy of their own
}

// A chain is what a call passes on its way to an agent, built on first use: see chain.go.
type chain struct {
	built atomic.Pointer[agent.Caller]
}

// seen are the figures of an agent, which outlive its Callee.
type seen struct {
	meter   meter.Meter
	retries atomic.Int64
}

// New returns a Callee.
func New(o Options) *Callee {
	c := &Callee{Options: o, seen: &seen{}, byTool: make(map[string]*chain, len(o.ToolPolicies))}
	if o.Before != nil {
		c.seen = o.Before.seen
	}
	c.Before = nil // nobody keeps all that there were
	for tool := range o.ToolPolicies {
		c.byTool[tool] = &chain{}
	}
	return c
}

// Info describes the agent as its instances do.
func (c *Callee) Info() agent.Info {
	info := c.Shown.Info()
	info.Name = c.Name
	return info
}

// UnderWay is how many calls of this process are under way.
func (c *Callee) UnderWay() int { return max(c.gate.InFlight()-int(c.events.Load()), 0) }

// Retries is how many attempts were made after the first ones.
func (c *Callee) Retries() int64 { return c.seen.retries.Load() }

// Waiting is how many calls of this process wait for their turn, or for an instance.
func (c *Callee) Waiting() int {
	n := 0
	for _, p := range c.pools() {
		n += p.Waiting()
	}
	return n
}

// Dismiss refuses the calls that wait: see [Pool.Dismiss].
func (c *Callee) Dismiss() {
	for _, p := range c.pools() {
		p.Dismiss()
	}
}

// Breakers are those that are not closed.
func (c *Callee) Breakers() []ToolBreaker {
	var out []ToolBreaker
	for _, p := range c.pools() {
		out = append(out, p.Breakers()...)
	}
	return out
}

// pools are those that its calls pass: the sessions, the hosts.
func (c *Callee) pools() []*Pool {
	if p, ok := c.Route.(*Pool); ok && p != c.Shown {
		return []*Pool{p, c.Shown}
	}
	return []*Pool{c.Shown}
}

// Unhealthy asks every instance that implements Healther, at the same time, and returns what is
// wrong with those that are not healthy, by ID.
func (c *Callee) Unhealthy(ctx context.Context) map[string]error {
	var mu sync.Mutex
	var asked sync.WaitGroup
	var unhealthy map[string]error
	ask := func(i *Instance) {
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if err := i.health.ask(ctx, i.Health); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if unhealthy == nil {
				unhealthy = map[string]error{}
			}
			unhealthy[i.ID] = c.Mask(err)
		}
	}
	for _, i := range c.Shown.instances {
		if i.Health != nil {
			asked.Go(func() { ask(i) })
		}
	}
	asked.Wait()
	return unhealthy
}

// observed notes how calls end, in the context of their span.
func (c *Callee) observed(next agent.Caller) agent.Caller {
	return agent.CallerFunc(func(ctx context.Context, call *agent.Call) (*agent.Result, error) {
		if call.Op == agent.OpEvent {
			return next.Call(ctx, call)
		}
		name := ""
		if call.Op == agent.OpTool {
			name = call.Name
		}
		tool := c.seen.meter.Tool(name, c.Offers)
		tool.Begin()
		began := time.Now()
		res, err := next.Call(ctx, call)
		took := time.Since(began)
		c.seen.meter.End(tool, name, took, err)
		c.Measured.Record(ctx, call, c.Over, took, err)
		return res, c.Log.Made(ctx, call, took, err, func(code agent.Code) string {
			return calls.Meant(code, call, c.Info())
		})
	})
}

// Offers reports whether the agent has a tool.
func (c *Callee) Offers(tool string) bool {
	_, ok := c.Info().Tool(tool)
	return ok
}

// Stats are what callers of one agent saw so far.
type Stats struct {
	Calls, Failures, Retries int64
	// Busy is how long callers waited, all calls added up.
	Busy    time.Duration
	Latency meter.Latency
	// Tools are the same for each tool that was called.
	Tools []meter.Counts
	// Last is the last call that failed; nil: none has.
	Last *meter.Failure
}

// Stats are what callers in this process saw so far.
func (c *Callee) Stats() Stats {
	s := Stats{Retries: c.seen.retries.Load()}
	s.Tools, s.Last = c.seen.meter.Read()
	for _, t := range s.Tools {
		s.Calls += t.Calls
		s.Failures += t.Failures
		s.Busy += t.Busy
		s.Latency = s.Latency.Add(t.Latency)
	}
	return s
}
