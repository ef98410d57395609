package budget

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/project"
)

func done(context.Context, *agent.Call) (*agent.Result, error) { return &agent.Result{}, nil }

// However many calls of a tree are made at once, in the process that counts and in another one, as
// many run as its budget has.
func TestSoManyCallsRun(t *testing.T) {
	here := &Trees{Process: "a"}
	there := &Trees{Process: "b", Ask: func(_ context.Context, process string, r Request) error {
		if process != "a" {
			return errors.New("who is " + process)
		}
		return here.Spend(r)
	}}
	var ran, refused atomic.Int64
	leaf := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		ran.Add(1)
		return done(ctx, c)
	})
	var budget string
	entry := here.Limit(project.Budget{Calls: 30}, "k")(agent.CallerFunc(func(ctx context.Context,
		c *agent.Call) (*agent.Result, error) {
		budget = c.Budget
		var all sync.WaitGroup
		for range 50 {
			for _, at := range []*Trees{here, there} {
				all.Go(func() {
					_, err := at.Limit(project.Budget{}, "")(leaf).Call(ctx, &agent.Call{Depth: 1, Budget: c.Budget})
					if agent.CodeOf(err) == agent.CodeResourceExhausted && agent.AsError(err).NotExecuted {
						refused.Add(1)
					}
				})
			}
		}
		all.Wait()
		return done(ctx, c)
	}))
	if _, err := entry.Call(t.Context(), &agent.Call{}); err != nil || ran.Load() != 30 || refused.Load() != 70 {
		t.Error(ran.Load(), refused.Load(), err)
	}
	late := agent.Call{Depth: 1, Budget: budget, Agent: "a", Name: "x", Path: []string{"desk"}}
	_, err := here.Limit(project.Budget{}, "")(leaf).Call(t.Context(), &late)
	if err == nil || !strings.Contains(err.Error(), "has ended, and its budget with it (desk > a)") {
		t.Error("after its entry call:", err)
	}
	late.Budget = "c/1"
	if _, err := here.Limit(project.Budget{}, "")(leaf).Call(t.Context(), &late); err == nil {
		t.Error("nobody counts, and it runs")
	}
}

// A call that no budget holds for costs nothing here.
func TestWithoutABudget(t *testing.T) {
	trees := &Trees{Process: "a"}
	none := trees.Limit(project.Budget{Calls: -1, Depth: -1, Duration: -1}, "")(agent.CallerFunc(done))
	bare, c := agent.CallerFunc(done), &agent.Call{}
	count := func(to agent.Caller) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = to.Call(t.Context(), c) })
	}
	if got, want := count(none), count(bare); got != want {
		t.Errorf("%v allocations, %v without", got, want)
	}
}
