// Package communicatortest is the one suite that every communicator must pass, so that an agent
// cannot tell over which of them it is called.
//
// A communicator's test is a few lines:
//
//	func TestContract(t *testing.T) {
//		communicatortest.Run(t, communicatortest.Config{
//			New: func(t *testing.T) communicatortest.Setup {
//				return communicatortest.Setup{Communicator: pubsub.New(...), Limit: 1 << 20}
//			},
//			Lacks: communicatortest.Lacks{
//				communicatortest.OrphanCancel: "a broker does not report who is gone",
//			},
//		})
//	}
//
// [Config.New] makes the two ends for each of the tests, and [Setup] says what they need to know
// about them. What a communicator cannot do by its nature it declares in [Lacks], with the reason,
// which each skipped test prints. Nothing else is skipped. [Proxy] is a TCP connection that the
// suite can hold back and cut.
package communicatortest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
)

// Run checks every promise, each in a subtest with a fresh [Setup]. The subtests are not parallel:
// each looks for goroutines left behind. The first one is a call without anything particular: if
// that has no result, the others are not run: each might wait for as long as [Config.Timeout].
func Run(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.New == nil {
		t.Fatal("communicatortest: Config.New is missing")
	}
	for f, reason := range cfg.Lacks {
		if !slices.Contains(Features(), f) || reason == "" {
			t.Fatalf("communicatortest: Lacks[%q] = %q: want one of Features(), and a reason", f, reason)
		}
	}
	cfg.Lacks = maps.Clone(cfg.Lacks)
	if reason, ok := cfg.Lacks[Connection]; ok {
		for _, f := range []Feature{Holding, OrphanCancel} {
			cfg.Lacks[f] = reason
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if !answers(t, cfg) {
		t.Log("communicatortest: the plainest call has no result: the other tests are not run")
		return
	}
	groups := []struct {
		name  string
		tests []test
	}{
		{"operations", operations()}, {"values", values()}, {"errors", failures()}, {"context", contexts()},
		{"metadata", metadata()}, {"keys", keys()},
		{"back-channel", backChannel()}, {"load", load()}, {"lost", lost()}, {"close", closing()},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, tt := range g.tests {
				t.Run(tt.name, func(t *testing.T) {
					for _, f := range tt.needs {
						if reason, ok := cfg.Lacks[f]; ok {
							t.Skipf("this communicator lacks %s: %s", f, reason)
						}
					}
					tt.run(newBench(t, cfg))
				})
			}
		})
	}
}

// answers makes the plainest call there is, and reports whether the others are worth waiting for.
func answers(t *testing.T, cfg Config) bool {
	t.Helper()
	left := true
	t.Run("an answer", func(t *testing.T) {
		left = false
		defer func() { left = left || t.Skipped() }()
		b := newBench(t, cfg)
		b.tools(echo())
		ctx := agent.WithEnv(b.short(), agent.Env{Name: me, Directory: b.dir})
		if _, err := agent.CallTool(ctx, "callee.echo", map[string]string{"word": "hello"}); err != nil {
			t.Fatalf("callee.echo: %v", err)
		}
		left = true
	})
	return left
}
