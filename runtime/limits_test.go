package runtime_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

// However an agent is called: so many calls run there at once, so many wait, one more is refused,
// and all that waited are answered.
func TestCallsAtOnce(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			cfg := pair(over)
			far := cfg.Agents["far"]
			far.MaxInFlight, far.MaxQueue, far.Timeout = 2, 3, testkit.Hang
			cfg.Agents["far"] = far
			s := start(t, cfg, nil)
			release := filepath.Join(t.TempDir(), "go on")
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					if _, err := agent.Ask[note](s.ctx, "far.wait-nested", note{Text: release}); err != nil {
						t.Error(err)
					}
				})
			}
			testkit.Eventually(t, "two run and three wait", func() bool {
				now := s.agentStatus("far")
				return now.Waiting == 3 && now.Instances[0].InFlight >= 2
			})
			_, err := agent.Ask[note](s.ctx, "far.say", note{})
			if e := agent.AsError(err); e.Code != agent.CodeResourceExhausted ||
				!strings.Contains(e.Message, "the queue of agent far is full: 3 of 3 calls wait") ||
				!strings.Contains(e.Message, "agents.far.max_in_flight") ||
				!strings.Contains(e.Message, "agents.far.max_queue") {
				t.Error(err)
			}
			if err := os.WriteFile(release, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			all.Wait()
		})
	}
}

// Agents that call each other in a circle do not wait for themselves: the limit of depth ends that.
func TestACircleTakesOneSlot(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			cfg := pair(over)
			cfg.Defaults.MaxInFlight, cfg.Defaults.Timeout = 1, testkit.Hang
			s := start(t, cfg, nil)
			_, err := agent.Ask[string](s.ctx, "far.circle", note{})
			if agent.CodeOf(err) != agent.CodeResourceExhausted || !strings.Contains(err.Error(), "in a circle") {
				t.Error(err)
			}
		})
	}
}

// A tool that fails always is not called any more for a while, and the others are.
func TestABreakerOpens(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			s := start(t, pair(over), nil)
			var last error
			for range 11 {
				_, last = agent.Ask[string](s.ctx, "far.panic", note{})
			}
			if _, err := agent.Ask[note](s.ctx, "far.say", note{}); err != nil {
				t.Error(err)
			}
			open := s.agentStatus("far").Breakers
			if over == project.OverLocal {
				if len(open) != 0 || agent.CodeOf(last) != agent.CodeInternal {
					t.Error(open, last)
				}
				return
			}
			if len(open) != 1 || open[0].Tool != "panic" || open[0].State != "open" || open[0].Failed != 10 ||
				agent.CodeOf(last) != agent.CodeUnavailable || !strings.Contains(last.Error(), "agents.far.breaker") {
				t.Errorf("%+v, %v", open, last)
			}
			testkit.Eventually(t, "a line in the log", func() bool {
				return strings.Contains(s.log.String(), "the breaker of an instance is open")
			})
		})
	}
}

// Who is gone while it waits frees its place in the queue.
func TestAWaitingCallIsCanceled(t *testing.T) {
	t.Parallel()
	cfg := pair(project.OverStdio)
	far := cfg.Agents["far"]
	far.MaxInFlight, far.MaxQueue = 1, 1
	cfg.Agents["far"] = far
	s := start(t, cfg, nil)
	release := filepath.Join(t.TempDir(), "go on")
	var all sync.WaitGroup
	all.Go(func() { _, _ = agent.Ask[note](s.ctx, "far.wait-nested", note{Text: release}) })
	testkit.Eventually(t, "one runs", func() bool { return s.agentStatus("far").Instances[0].InFlight == 1 })
	ctx, cancel := context.WithCancel(s.ctx)
	all.Go(func() {
		if _, err := agent.Ask[note](ctx, "far.say", note{}); !errors.Is(err, agent.CodeCanceled) {
			t.Error(err)
		}
	})
	testkit.Eventually(t, "one waits", func() bool { return s.agentStatus("far").Waiting == 1 })
	cancel()
	testkit.Eventually(t, "none waits", func() bool { return s.agentStatus("far").Waiting == 0 })
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}
