package runtime_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/runtime/project"
)

func TestHealthOfAgentsIsReported(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			cfg := pair(over)
			cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
			far := cfg.Agents["far"]
			far.Config["sick"] = "the cellar is flooded"
			cfg.Agents["far"] = far
			s := start(t, cfg, nil)
			if got := s.agentStatus("far").Instances[0].Unhealthy; !strings.Contains(got, "the cellar is flooded") {
				t.Errorf("far: %q", got)
			}
			if got := s.agentStatus("near").Instances[0].Unhealthy; got != "" {
				t.Errorf("near: %q", got)
			}
			code, text := ask(t, http.MethodGet, s.Status().URL+"/readyz", "", nil)
			if code != http.StatusServiceUnavailable || !strings.Contains(text, "far is not healthy") ||
				strings.Contains(text, "cellar") {
				t.Errorf("/readyz: %d %s", code, text)
			}
		})
	}
	t.Run("a panic is no answer", func(t *testing.T) {
		cfg := pair(project.OverLocal)
		far := cfg.Agents["far"]
		far.Config["sick"] = "panic"
		s := start(t, cfg, nil)
		if got := s.agentStatus("far").Instances[0].Unhealthy; !strings.Contains(got, "panicked") {
			t.Errorf("far: %q", got)
		}
	})
}

func TestTheHealthyStayHealthy(t *testing.T) {
	s := start(t, pair(project.OverLocal), nil)
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			for range 100 {
				if got := s.agentStatus("far").Instances[0].Unhealthy; got != "" {
					t.Errorf("far: %s", got)
					return
				}
			}
		})
	}
	askers.Wait()
}
