package runtime

import (
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/project"
)

// Programs are there before the agents that start after them, and may call those.
func TestAnAgentThatHasNotStarted(t *testing.T) {
	r, err := New(&project.Config{Agents: map[string]project.Agent{"late": {Command: []string{"late"}}}},
		agent.Types{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.down("late"); err == nil || err.Error() != "agent late has not started yet: the system is starting" {
		t.Error(err)
	}
	if err := r.down("nobody"); err != nil {
		t.Error(err)
	}
}
