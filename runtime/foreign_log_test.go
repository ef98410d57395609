package runtime_test

import (
	"os"
	"strings"
	"testing"

	"github.com/openmas/openmas/runtime/project"
)

// Whoever starts a system waits for its SSE_SERVER_URL= and must not find that of one of its
// servers first.
func TestReadinessOfServersIsNotOurs(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &project.Config{Agents: map[string]project.Agent{
		"docs": {Command: []string{exe}, Communicator: project.OverSSE, Env: map[string]string{foreignVar: "sse"}},
	}}, nil)
	s.stop()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	if log := s.log.String(); strings.Contains(log, "SSE_SERVER_URL") || !strings.Contains(log, "serves SSE at "+
		"http://127.0.0.1:") {
		t.Errorf("the log:\n%s", log)
	}
}
