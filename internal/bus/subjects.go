package bus

import (
	"fmt"
	"strings"
)

// Subjects makes the subjects of a project. It is their prefix, "om.1.<project>.".
type Subjects string

func NewSubjects(project string) (Subjects, error) {
	if project == "" || len(project) > 64 || strings.ContainsFunc(project, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return "", fmt.Errorf("%q is no project name for a broker: letters, digits, - and _, at most 64", project)
	}
	return Subjects("om.1." + project + "."), nil
}

func (s Subjects) Call(agent string) string    { return string(s) + "call." + agent }
func (s Subjects) Control(agent string) string { return string(s) + "control." + agent }
func (s Subjects) Reply(process string) string { return string(s) + "reply." + process }
func (s Subjects) Event(topic string) string   { return string(s) + "event." + topic }
func (s Subjects) Presence() string            { return string(s) + "presence" }

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
