package project

import (
	"time"
)

// Start bounds the start of agents.
type Start struct {
	// How long one agent may take: the Start of a type, or a child process from its start to the
	// end of the MCP handshake. Agents can have their own. The time in which a process waits for
	// its turn does not count.
	Timeout time.Duration `yaml:"timeout" default:"60s"`
	// How many child processes start at the same time. The others wait for their turn. One that
	// takes longer than 10 s lets the next one begin.
	Parallel int `yaml:"parallel" default:"4" max:"256"`
	// How long the system waits for the first attempt of a command or url that is not critical.
	// After it the system is ready without that agent, which comes later. "off" does not wait.
	Wait time.Duration `yaml:"wait" default:"30s" off:"-1"`
}

// AgentStart is what is particular to the start of one agent.
type AgentStart struct {
	// How long this agent may take to start, where that differs from the project's start.timeout.
	Timeout time.Duration `yaml:"timeout"`
}

// Connect bounds the first contact with a url.
type Connect struct {
	// How long it may take from the dial to the end of the MCP handshake.
	Timeout time.Duration `yaml:"timeout" default:"10s"`
}

// Reconnect is the wait between attempts to reach a lost agent. It has 20 % of jitter.
type Reconnect struct {
	// Wait before a lost connection is tried again the first time. Each wait varies by 20 %.
	Initial time.Duration `yaml:"initial" default:"1s"`
	// How much longer each further wait is.
	Multiplier float64 `yaml:"multiplier" default:"1.6" min:"1" max:"1000"`
	// The wait does not grow beyond this.
	Max time.Duration `yaml:"max" default:"30s"`
}

// Restart bounds restarts. One more than Limit within Window means one Backoff of rest; after
// GiveUpAfter rests the agent has failed.
type Restart struct {
	// How often a Runner or a child process is restarted within the window.
	Limit int `yaml:"limit" default:"5"`
	// The time in which restarts are counted.
	Window time.Duration `yaml:"window" default:"30s"`
	// How long to wait when it would be restarted more often.
	Backoff time.Duration `yaml:"backoff" default:"15s"`
	// After how many such waits the agent has failed.
	GiveUpAfter int `yaml:"give_up_after" default:"3"`
}

// Child is how a child process is stopped: its stdin is closed, then it is told to terminate, then
// it is killed with all its descendants.
type Child struct {
	// How long a child process may take to end after its stdin is closed.
	StdinWait time.Duration `yaml:"stdin_wait" default:"2s"`
	// How long it may take to end after SIGTERM. Then its process group is killed.
	TermWait time.Duration `yaml:"term_wait" default:"3s"`
}

// Drain bounds an orderly stop.
type Drain struct {
	// How long an orderly stop may take, from the signal to the exit.
	Timeout time.Duration `yaml:"timeout" default:"25s"`
}
