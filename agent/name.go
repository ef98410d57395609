package agent

import "strings"

const (
	maxAgentName = 32
	maxToolName  = 64
	maxTopic     = 128
)

// CheckAgentName refuses what is no agent name: a DNS label that starts with a letter,
// ^[a-z][a-z0-9-]{0,31}$.
func CheckAgentName(name string) error {
	if !plainName(name, maxAgentName, "-") {
		return Errorf(CodeInvalidArgument, "%q is no agent name: lower-case letters, digits and -, a letter first, "+
			"at most %d characters", name, maxAgentName)
	}
	return nil
}

// CheckToolName refuses what is no name for a tool or prompt of ours: ^[a-z][a-z0-9_-]{0,63}$.
// Tools of foreign servers keep whatever name MCP allows.
func CheckToolName(name string) error {
	if !plainName(name, maxToolName, "_-") {
		return Errorf(CodeInvalidArgument, "%q is no tool name: lower-case letters, digits, _ and -, a letter first, "+
			"at most %d characters", name, maxToolName)
	}
	return nil
}

// CheckTopic refuses what is no event topic: ^[a-z][a-z0-9._-]{0,127}$, and no empty part between
// dots.
func CheckTopic(topic string) error {
	if !plainName(topic, maxTopic, "._-") || strings.Contains(topic, "..") || strings.HasSuffix(topic, ".") {
		return Errorf(CodeInvalidArgument, "%q is no topic: lower-case letters, digits, _, - and single dots, a "+
			"letter first, at most %d characters", topic, maxTopic)
	}
	return nil
}

// SplitName cuts "agent.tool" at the first dot: agent names have none, the tools of foreign servers
// may.
func SplitName(target string) (agent, name string, ok bool) {
	agent, name, ok = strings.Cut(target, ".")
	return agent, name, ok && agent != "" && name != ""
}

func plainName(s string, most int, more string) bool {
	if s == "" || len(s) > most || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return true
}
