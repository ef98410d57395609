package agent

import "context"

// An Agent declares what it can do. It is one method, so that any struct can be one; more powers
// are the optional interfaces [Starter], [Runner], [Closer] and [Healther].
//
// An agent's handlers are called concurrently; its state is its own to lock.
type Agent interface {
	// Capabilities is pure: it has no side effects and gives an equal answer each time. The runtime
	// calls it after the agent's fields were filled from its `config:` block and before Start.
	Capabilities() Capabilities
}

// A Starter is an agent that prepares itself before its first call. An error stops the run before
// anything is served, and what started before it is closed in reverse order. ctx ends when starting
// is abandoned, not when Start has returned.
type Starter interface {
	Start(ctx context.Context, env Env) error
}

// A Runner is an agent with work of its own. Run is called after every agent was started; returning
// nil means that the work is done, an error or a panic that it is to be run again (supervised, with
// backoff). ctx ends when the agent has to stop.
type Runner interface {
	Run(ctx context.Context) error
}

// A Closer is an agent that releases what it holds. Close is called once, after its last call has
// ended, and only if the agent's Start succeeded (or it has none). ctx bounds the time for it.
type Closer interface {
	Close(ctx context.Context) error
}

// A Healther is an agent that can say whether it works. nil is healthy. Health may be called at any
// time after Start, concurrently with everything else, and must be quick.
type Healther interface {
	Health(ctx context.Context) error
}

// Types maps the type names of a project file to constructors. A constructor returns a new agent
// with its defaults set.
type Types map[string]func() Agent

// Capabilities is what an agent offers and needs. The zero value is an agent that can only run.
type Capabilities struct {
	// Description says in a sentence or two what the agent is for. MCP clients get it as the
	// server's instructions.
	Description string

	Tools         []Tool
	Prompts       []Prompt
	Resources     []Resource
	Subscriptions []Subscription

	// Requires is what has to exist elsewhere in the system before the agent starts. Agents that
	// require each other in a circle start in the order of their names, with a warning.
	Requires []Requirement
}
