// Package child is a child process of the runtime, and the protocol between it and its parent: the
// line that it reads first, and a few events besides MCP.
package child

import (
	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/supervise"
)

// Runtime is the runtime as an agent: its children publish events by delivering them to it.
const Runtime = "openmas"

// FromRuntime is who makes the calls of the runtime itself.
var FromRuntime = agent.Identity{Agent: Runtime, Trusted: true}

// Topics between a runtime and its children; no event of an agent has them.
const (
	TopicRun    = "openmas.run"    // to a child: every agent is up, run your Runner
	TopicHealth = "openmas.health" // to a child: is your agent healthy?
	TopicRunner = "openmas.runner" // from a child: the state of its Runner
)

// RunnerStatus is the payload of TopicRunner.
type RunnerStatus struct {
	Instance string          `json:"instance"`
	State    supervise.State `json:"state"`
	Error    string          `json:"error,omitempty"`
}
