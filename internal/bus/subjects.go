package bus

import (
	"fmt"
	"strings"
)

// Subjects makes the subjects of a project. It is their prefix, "om.1.<project>.".
type Subjects string

// NewSubjects checks the name of a project, which is a part of each of its subjects.
func NewSubjects(project string) (Subjects, error) {
	if project == "" || len(project) > 64 || strings.ContainsFunc(project, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return "", fmt.Errorf("%q is no project name for a broker: letters, digits, - and _, at most 64", project)
	}
	return Subjects("om.1." + project + "."), nil
}

// Call is where an agent takes calls.
func (s Subjects) Call(agent string) string { return string(s) + "call." + agent }

// Control is where an agent takes cancellations and answers to its questions.
func (s Subjects) Control(agent string) string { return string(s) + "control." + agent }

// Reply is where a process takes the answers to its calls.
func (s Subjects) Reply(process string) string { return string(s) + "reply." + process }

// Event is where the events of a topic are published.
func (s Subjects) Event(topic string) string { return string(s) + "event." + topic }

// Presence is where processes say which agents they host.
func (s Subjects) Presence() string { return string(s) + "presence" }

// Subject returns "om.1.<project>.<class>", which a driver uses for its own purposes. A project
// that is not a name is an error.
func Subject(project, class string) (string, error) {
	s, err := NewSubjects(project)
	return string(s) + class, err
}

// IsReply reports whether a subject is one for replies: an answer is sent to no other.
func (s Subjects) IsReply(subject string) bool {
	process, ok := strings.CutPrefix(subject, string(s)+"reply.")
	return ok && process != "" && !strings.ContainsAny(process, ".*> \t\r\n")
}
