package project

import (
	"time"
)

// Policy is how a call is made. Zero fields are inherited: a tool's from its agent, an agent's from
// the project's defaults. See [Config.PolicyFor].
type Policy struct {
	// Deadline of a call, its retries included.
	Timeout time.Duration `yaml:"timeout" default:"30s"`
	// How a call is repeated where that is safe. "off" is one attempt.
	Retry Retry `yaml:"retry" off:"attempts"`
	// Whether a tool may run twice when nobody knows if a call has run. This counts more than what
	// the tool declares. Left out: what the tool declares, if its agent is trusted.
	Idempotent *bool `yaml:"idempotent"`
	// How many calls run at each instance at once. Left out: 64, and any number at an agent that is
	// called in its own process. A tool with a number of its own does not share its agent's.
	MaxInFlight int `yaml:"max_in_flight" off:"-1"`
	// How many calls wait, until their deadline, for one of those to end, or for an instance that
	// starts. One more is refused with "resource_exhausted".
	MaxQueue int `yaml:"max_queue" default:"1024" max:"1000000"`
	// How long a call waits, within its deadline, for an instance that starts, is started again or
	// is being reached again. "off" does not wait.
	ReadyWait time.Duration `yaml:"ready_wait" default:"10s" off:"-1"`
	// When an instance gets no calls of a tool for a while, because too many have failed there. Not
	// for an agent that is called in its own process.
	Breaker Breaker `yaml:"breaker" off:"calls"`
	// What an entry call may cost with all the calls that it leads to.
	Budget Budget `yaml:"budget"`
}

// Budget bounds the tree of calls below an entry call: one that a client of the gateway makes, a
// command, or an agent on its own account. It holds in all processes of the project, over every
// communicator. What is beyond it is refused with "resource_exhausted". Zero: no bound.
type Budget struct {
	// How many calls an entry call may lead to, at all agents together, without itself and without
	// later attempts. Left out: any number.
	Calls int `yaml:"calls" max:"1000000000" off:"-1"`
	// How many calls deep they may be: 1 allows the calls of the agent that was called, and no
	// calls below those. Left out: 16.
	Depth int `yaml:"depth" max:"16" off:"-1"`
	// How long the entry call may take with all of them, the time that people think included. Left
	// out: any time, within the timeout of each.
	Duration time.Duration `yaml:"duration" off:"-1"`
}

// DefaultMaxInFlight is [Policy.MaxInFlight] of an agent that is not called in its own process.
const DefaultMaxInFlight = 64

// Breaker is a circuit breaker: see docs/reference/errors.md for what counts as a failure.
type Breaker struct {
	// The part of the calls of a tool at an instance that have to fail, within the window.
	Ratio float64 `yaml:"ratio" default:"0.5" min:"0.01" max:"1"`
	// With fewer calls than this within the window it does not open.
	Calls int `yaml:"calls" default:"10" max:"1000000" off:"-1"`
	// The time in which calls are counted.
	Window time.Duration `yaml:"window" default:"30s" min:"100ms"`
	// How long it lets no calls through. It is twice as long each time that a trial call fails, up
	// to 5 minutes.
	Open time.Duration `yaml:"open" default:"15s"`
	// How many calls are let through on trial after that. When all succeed it is closed.
	Probes int `yaml:"probes" default:"3" max:"1000"`
}

// Retry is exponential backoff with full jitter.
type Retry struct {
	// How often a call is made, the first attempt included. It is made again only if it did not
	// run, or may run twice.
	Attempts int `yaml:"attempts" default:"3" min:"1" max:"100" off:"1"`
	// Longest wait before the second attempt. The wait is random, up to this.
	Initial time.Duration `yaml:"initial" default:"100ms"`
	// How much longer the longest wait is before each further attempt.
	Multiplier float64 `yaml:"multiplier" default:"2" min:"1" max:"1000"`
	// The longest wait does not grow beyond this.
	Max time.Duration `yaml:"max" default:"10s"`
}
