package runtime_test

import (
	"context"
	"fmt"
	"io"
	"math"
	goruntime "runtime"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// cell is a small agent of which there may be many.
type cell struct {
	Requires string `json:"requires"`
	events   bool
}

func (c *cell) Capabilities() agent.Capabilities {
	caps := agent.Capabilities{Description: "one of many", Tools: []agent.Tool{
		agent.NewTool("say", "Say it again.", func(_ context.Context, in note) (note, error) { return in, nil }),
	}}
	if c.Requires != "" {
		caps.Requires = []agent.Requirement{agent.Require(c.Requires)}
	}
	if c.events {
		caps.Subscriptions = []agent.Subscription{agent.On("cells.note", func(context.Context, note) error {
			return nil
		})}
	}
	return caps
}

// busyCell has work of its own.
type busyCell struct{ cell }

func (busyCell) Run(ctx context.Context) error { <-ctx.Done(); return nil }

var cellTypes = agent.Types{
	"cell":     func() agent.Agent { return &cell{} },
	"busy":     func() agent.Agent { return &busyCell{} },
	"listener": func() agent.Agent { return &cell{events: true} },
}

func cellName(i int) string { return fmt.Sprintf("cell-%d", i) }

// cells is a project of n agents of a type; as a chain, each requires the one before.
func cells(dir, kind string, n int, chain bool) *project.Config {
	cfg := &project.Config{Dir: dir, Agents: make(map[string]project.Agent, n)}
	for i := range n {
		a := project.Agent{Type: kind}
		if chain && i > 0 {
			a.Config = map[string]any{"requires": cellName(i - 1)}
		}
		cfg.Agents[cellName(i)] = a
	}
	return cfg
}

// startCells brings the project up and returns how to end it.
func startCells(tb testing.TB, cfg *project.Config) (*runtime.Runtime, func()) {
	tb.Helper()
	r, err := runtime.New(cfg, cellTypes, runtime.Options{Output: io.Discard})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case err := <-done:
		cancel()
		tb.Fatal(err)
	}
	return r, func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	}
}

// TestStartGrowsLinearly counts what starting agents allocates: what is copied or built once more
// for each agent shows there. Ten times as many may not cost much more each.
func TestStartGrowsLinearly(t *testing.T) {
	const few, many = 60, 600
	for name, project := range map[string]func(n int) *project.Config{
		"plain":  func(n int) *project.Config { return cells(t.TempDir(), "cell", n, false) },
		"chain":  func(n int) *project.Config { return cells(t.TempDir(), "cell", n, true) },
		"run":    func(n int) *project.Config { return cells(t.TempDir(), "busy", n, false) },
		"listen": func(n int) *project.Config { return cells(t.TempDir(), "listener", n, false) },
	} {
		t.Run(name, func(t *testing.T) {
			work := func(n int) (bytes, objects uint64) {
				cfg := project(n)
				var before, ready, after goruntime.MemStats
				goruntime.ReadMemStats(&before)
				r, end := startCells(t, cfg)
				goruntime.ReadMemStats(&ready)
				_ = r.Status()
				end()
				goruntime.ReadMemStats(&after)
				t.Logf("%d agents: %d bytes and %d objects each to start, %d and %d in all", n,
					(ready.TotalAlloc-before.TotalAlloc)/uint64(n), (ready.Mallocs-before.Mallocs)/uint64(n),
					(after.TotalAlloc-before.TotalAlloc)/uint64(n), (after.Mallocs-before.Mallocs)/uint64(n))
				return (after.TotalAlloc - before.TotalAlloc) / uint64(n), (after.Mallocs - before.Mallocs) / uint64(n)
			}
			work(few) // what a first run allocates once
			bytes, objects := work(few)
			manyBytes, manyObjects := work(many)
			if manyBytes > bytes*3/2 || manyObjects > objects*3/2 {
				t.Errorf("an agent costs %d bytes and %d objects among %d, and %d bytes and %d objects among %d",
					bytes, objects, few, manyBytes, manyObjects, many)
			}
		})
	}
}

// A call costs the same whatever the number of agents.
func TestACallAmongManyCostsTheSame(t *testing.T) {
	allocations := func(n int) float64 {
		r, end := startCells(t, cells(t.TempDir(), "cell", n, false))
		defer end()
		ctx := r.Context(t.Context())
		least := math.Inf(1)
		for range 5 { // what else allocates in the process counts, too: the quietest time is the truest
			least = min(least, testing.AllocsPerRun(100, func() {
				if _, err := agent.Ask[note](ctx, "cell-1.say", note{Text: "x"}); err != nil {
					t.Fatal(err)
				}
			}))
		}
		return least
	}
	// The race detector has pools forget at random, which is worth some. A call that looked at
	// every agent would be worth hundreds.
	if few, many := allocations(3), allocations(300); many > 2*few {
		t.Errorf("%v allocations among 3 agents, %v among 300", few, many)
	}
}

// BenchmarkStart is the way from New to ready with n local agents.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("%d agents", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				cfg := cells(b.TempDir(), "cell", n, false)
				b.StartTimer()
				_, end := startCells(b, cfg)
				b.StopTimer()
				end()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/agent")
		})
	}
}

// BenchmarkCallAmong is one local call in a system of n agents: to the same agent always, and to
// another one each time.
func BenchmarkCallAmong(b *testing.B) {
	for _, n := range []int{10, 10000} {
		b.Run(fmt.Sprintf("%d agents", n), func(b *testing.B) {
			r, end := startCells(b, cells(b.TempDir(), "cell", n, false))
			defer end()
			ctx := agent.WithEnv(b.Context(), agent.Env{Name: "bench", Directory: r.Directory()})
			call := func(i int) {
				if _, err := agent.Ask[note](ctx, cellName(i%n)+".say", note{Text: "x"}); err != nil {
					b.Fatal(err)
				}
			}
			for i := range n { // chains are built on first use
				call(i)
			}
			for name, step := range map[string]int{"one": 0, "each": 1} {
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i += step {
						call(i)
					}
				})
			}
		})
	}
}
