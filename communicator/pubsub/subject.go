package pubsub

import (
	"fmt"
	"strings"
)

// subjects makes the subjects of a project: its prefix, "om.1.<project>.".
type subjects string

func newSubjects(project string) (subjects, error) {
	if project == "" || len(project) > 64 || strings.ContainsFunc(project, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return "", fmt.Errorf("%q is no project name for a broker: letters, digits, - and _, at most 64", project)
	}
	return subjects("om.1." + project + "."), nil
}

func (s subjects) call(agent string) string    { return string(s) + "call." + agent }
func (s subjects) control(agent string) string { return string(s) + "control." + agent }
func (s subjects) reply(process string) string { return string(s) + "reply." + process }
func (s subjects) event(topic string) string   { return string(s) + "event." + topic }
func (s subjects) presence() string            { return string(s) + "presence" }

// Subject is the subject of a class in a project, "om.1.<project>.<class>", that a driver uses for
// its own purposes. A project that is no name is an error.
func Subject(project, class string) (string, error) {
	s, err := newSubjects(project)
	return string(s) + class, err
}

// isReply keeps a frame from having its answer sent to just any subject.
func (s subjects) isReply(subject string) bool {
	process, ok := strings.CutPrefix(subject, string(s)+"reply.")
	return ok && process != "" && !strings.ContainsAny(process, ".*> \t\r\n")
}
