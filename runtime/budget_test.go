package runtime_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

// budgeted is pair with a budget of the entry calls to the tools of far.
func budgeted(over string, b project.Budget) *project.Config {
	cfg := pair(over)
	far := cfg.Agents["far"]
	far.Budget = b
	cfg.Agents["far"] = far
	return cfg
}

// wantOver checks that a circle of calls was ended by a budget, which the error names with the
// path.
func wantOver(t *testing.T, err error, parts ...string) {
	t.Helper()
	if agent.CodeOf(err) != agent.CodeResourceExhausted && agent.CodeOf(err) != agent.CodeToolFailed {
		t.Error(err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v\ndoes not say %s", err, part)
		}
	}
}

func TestABudgetHoldsOverEveryCommunicator(t *testing.T) {
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			s := start(t, budgeted(over, project.Budget{Calls: 4}), nil)
			for range 2 { // each entry call has its own
				_, err := agent.Ask[string](s.ctx, "far.circle", note{})
				wantOver(t, err, "one more than the 4 below far.circle", "(agents.far.budget.calls)",
					"(test > far > near > far > near > far > near)")
			}
			_, err := agent.Ask[string](s.ctx, "near.circle", note{})
			if err == nil || !strings.Contains(err.Error(), "17 calls deep") {
				t.Error("no entry call of far:", err)
			}

			s = start(t, budgeted(over, project.Budget{Depth: 3}), nil)
			_, err = agent.Ask[string](s.ctx, "far.circle", note{})
			wantOver(t, err, "the call is 4 calls below far.circle, whose budget is 3 (agents.far.budget.depth)",
				"(test > far > near > far > near > far)")

			s = start(t, budgeted(over, project.Budget{Duration: 300 * time.Millisecond}), nil)
			began := time.Now()
			_, err = agent.Ask[note](s.ctx, "far.relay-slow", note{N: 10_000})
			wantOver(t, err, "not done with all that it leads to within 300ms, its budget (agents.far.budget.duration)",
				"(test > far)")
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A foreign program that calls back spends what is left, although it is told nothing of it.
func TestABudgetHoldsThroughAForeignChild(t *testing.T) {
	cfg := circular(t, project.OverStdio)
	cfg.Defaults.Budget.Calls = 3
	s := start(t, cfg, nil)
	_, err := agent.Ask[string](s.ctx, "far.circle", note{N: 3})
	wantOver(t, err, "one more than the 3 below far.circle", "(defaults.budget.calls)")
	if n := s.agentStatus("docs").Calls; n > 2 {
		t.Errorf("%d calls went through", n)
	}
}

// The process in which a tree begins counts its calls in all others.
func TestABudgetHoldsAcrossProcesses(t *testing.T) {
	t.Parallel()
	dir, cfg := t.TempDir(), budgeted(project.OverLocal, project.Budget{Calls: 5})
	a, b := part(t, dir, cfg, "near"), part(t, dir, cfg, "far")
	a.ready()
	b.ready()
	testkit.Eventually(t, "both know both", func() bool {
		_, far := a.Directory().Agent("far")
		_, near := b.Directory().Agent("near")
		return far && near
	})
	for n, s := range []*system{a, b} {
		_, err := agent.Ask[string](s.ctx, "far.circle", note{})
		wantOver(t, err, "one more than the 5 below far.circle", "(agents.far.budget.calls)")
		if err != nil && strings.Count(err.Error(), " > ") != 7 {
			t.Errorf("process %d: %v", n, err)
		}
	}
	if log := fmt.Sprint(a.log, b.log); strings.Contains(log, "openmas-") {
		t.Error("the counter is seen")
	}
}
