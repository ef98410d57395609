package agent

import (
	"encoding/json"
	"errors"
	"reflect"
)

// A Requirement names what has to exist elsewhere in the system before an agent starts. Make one
// with [Require] or [RequireTool].
type Requirement struct {
	agent, tool   string
	input, output json.RawMessage
	err           error
}

// Require requires the tool "agent.tool", or, for a bare "agent", that the agent is there at all.
func Require(target string) Requirement {
	r := Requirement{agent: target}
	if agent, tool, ok := SplitName(target); ok {
		r.agent, r.tool = agent, tool
	}
	r.err = CheckAgentName(r.agent)
	return r
}

// RequireTool is [Require] for a tool that is called with an In and whose answer is decoded into an
// Out. `openmas validate` compares both with the schemas of the tool, where those are known before
// a start.
func RequireTool[In, Out any](target string) Requirement {
	r := Require(target)
	if r.err == nil && r.tool == "" {
		r.err = errors.New("agent.RequireTool(" + target + "): write agent.tool")
	}
	r.input, _ = inferSchema(reflect.TypeFor[In]())
	r.output = inferOutput(reflect.TypeFor[Out]())
	return r
}

// Input is the schema of what the tool will be called with, and Output of what its answer is
// decoded into; empty where that is not known.
func (r Requirement) Input() json.RawMessage { return r.input }

// Output is described at [Requirement.Input].
func (r Requirement) Output() json.RawMessage { return r.output }

// Agent is the agent that is required.
func (r Requirement) Agent() string { return r.agent }

// Tool is the required tool of the agent; empty when any agent of that name will do.
func (r Requirement) Tool() string { return r.tool }

// String is how people write the requirement: "agent.tool" or "agent".
func (r Requirement) String() string {
	if r.tool == "" {
		return r.agent
	}
	return r.agent + "." + r.tool
}

// Err is what is wrong with the definition; nil if nothing.
func (r Requirement) Err() error {
	if r.agent == "" {
		return errors.New("a requirement without a name: make it with agent.Require")
	}
	return r.err
}
