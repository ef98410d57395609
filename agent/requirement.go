package agent

import "errors"

// A Requirement names what has to exist elsewhere in the system before an agent starts. Make one
// with [Require].
type Requirement struct {
	agent, tool string
	err         error
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
