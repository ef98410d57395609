package mcpimport

import (
	"fmt"
	"strings"
)

// An Agent is one server as an agent of a project file.
type Agent struct {
	Name  string
	Notes []string // what a person has to know or do
	// Secrets are the environment variables that stand for what was taken out of it.
	Secrets []string

	lines []string // its keys
	lost  []string // what a project file cannot express
	out   string   // why it is a comment
}

// Active reports whether the agent is one, and not a comment.
func (a *Agent) Active() bool { return a.out == "" }

// Write returns the agents as a block of a project file.
func Write(agents []*Agent) string {
	return "agents:\n" + block(agents, "  ")
}

func block(agents []*Agent, indent string) string {
	var out strings.Builder
	for _, a := range agents {
		prefix := ""
		if !a.Active() {
			prefix = "# "
			fmt.Fprintf(&out, "%s# %s: %s\n", indent, a.Name, oneLine(a.out))
		}
		fmt.Fprintf(&out, "%s%s%s:\n", indent, prefix, a.Name)
		for _, line := range a.lines {
			fmt.Fprintf(&out, "%s%s  %s\n", indent, prefix, line)
		}
		for _, lost := range a.lost {
			fmt.Fprintf(&out, "%s  # left out: %s\n", indent, oneLine(lost))
		}
	}
	return out.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
