package runtime_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// pair is two probes; the far one is reached over the given communicator.
func pair(over string) *project.Config {
	return &project.Config{Agents: map[string]project.Agent{
		"near": {Type: "probe", Config: map[string]any{"peer": "far", "prefix": "near "}},
		"far": {Type: "probe", Communicator: over, Config: map[string]any{"peer": "near", "prefix": "far "},
			Env: envFor(over)},
	}}
}

func envFor(over string) map[string]string {
	if over == project.OverStdio {
		return map[string]string{"PROBE_VAR": "from the project"}
	}
	return nil
}

// TestSameAgentOverEveryCommunicator shows that an agent does not notice how it is called, and can
// do everything everywhere.
func TestSameAgentOverEveryCommunicator(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			s := start(t, pair(over), nil)
			checks := map[string]func(*testing.T){
				"tool": func(t *testing.T) {
					out, err := agent.Ask[note](s.ctx, "far.say", note{Text: "hi", N: 3})
					if err != nil || out != (note{Text: "far hi", N: 3}) {
						t.Fatal(out, err)
					}
				},
				"identity and depth": func(t *testing.T) {
					ask := func(tool, want string) {
						if got, err := agent.Ask[string](s.ctx, tool, nil); err != nil || got != want {
							t.Errorf("%s: %q, %v, want %q", tool, got, err, want)
						}
					}
					ask("far.who", "test at depth 0")
					ask("near.relay", "near at depth 1")
					ask("far.relay", "far at depth 1")
				},
				"calls with one key run once": func(t *testing.T) {
					roll := func(key string, n int) (string, error) {
						return agent.Ask[string](s.ctx, "far.roll", note{N: n}, agent.IdempotencyKey(key))
					}
					seen := map[string]bool{}
					for _, key := range []string{"a", "b", "c", "d"} {
						first, err := roll(key, 1)
						again, err2 := roll(key, 1)
						if err != nil || err2 != nil || again != first || seen[first] {
							t.Errorf("the key %s gave %q, %v and %q, %v", key, first, err, again, err2)
						}
						seen[first] = true
						if _, err := roll(key, 2); agent.CodeOf(err) != agent.CodeInvalidArgument {
							t.Errorf("the key %s with another input gave %v", key, err)
						}
					}
				},
				"a circle ends": func(t *testing.T) {
					_, err := agent.Ask[string](s.ctx, "far.circle", nil)
					if agent.CodeOf(err) != agent.CodeResourceExhausted {
						t.Fatal(err)
					}
				},
				"errors": func(t *testing.T) {
					for tool, want := range map[string]agent.Code{"far.fail": agent.CodeToolFailed,
						"far.panic": agent.CodeInternal, "far.nothing": agent.CodeNotFound,
						"nobody.say": agent.CodeNotFound} {
						if _, err := agent.Ask[string](s.ctx, tool, nil); agent.CodeOf(err) != want {
							t.Errorf("%s: %v, want %s", tool, err, want)
						}
					}
					if _, err := agent.Ask[string](s.ctx, "far.say",
						map[string]any{"txt": 1}); agent.CodeOf(err) != agent.CodeInvalidArgument {
						t.Errorf("invalid input: %v", err)
					}
				},
				"deadline": func(t *testing.T) {
					ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
					defer cancel()
					if _, err := agent.Ask[note](ctx, "far.slow",
						note{N: int(hang.Milliseconds())}); agent.CodeOf(err) != agent.CodeDeadlineExceeded {
						t.Fatal(err)
					}
				},
				"prompt, completion, resource": func(t *testing.T) {
					p, err := agent.GetPrompt(s.ctx, "far.greet", map[string]string{"name": "Ada"})
					if err != nil || p.Messages[0].Content.Text != "Greet Ada" {
						t.Errorf("prompt: %v, %v", p, err)
					}
					c, err := agent.Complete(s.ctx, "far", "greet", agent.CompleteRequest{Argument: "name", Value: "A"})
					if err != nil || !slices.Equal(c.Values, []string{"Ada"}) {
						t.Errorf("completion: %v, %v", c, err)
					}
					r, err := agent.ReadResource(s.ctx, "far", "probe://state")
					if err != nil || len(r) != 1 || r[0].Text != "far " || r[0].MIMEType != "text/plain" {
						t.Errorf("resource: %v, %v", r, err)
					}
				},
				"elicitation": func(t *testing.T) {
					ctx := agent.WithBackChannel(s.ctx,
						agent.BackChannelFuncs{Elicit: func(_ context.Context, r agent.ElicitRequest) (
							agent.ElicitResult,
							error) {
							return agent.ElicitResult{Action: agent.ElicitAccept, Content: []byte(`{"color":"blue"}`)},
								nil
						}})
					if got, err := agent.Ask[string](ctx, "far.choose", nil); err != nil || got != "blue" {
						t.Fatal(got, err)
					}
					if _, err := agent.Ask[string](s.ctx, "far.choose",
						nil); agent.CodeOf(err) != agent.CodeUnavailable {
						t.Fatalf("without a user: %v", err)
					}
				},
				"progress": func(t *testing.T) {
					seen := make(chan float64, 16)
					if _, err := agent.Ask[string](s.ctx, "far.count", note{N: 3},
						agent.OnProgress(func(p agent.ProgressNotice) {
							seen <- p.Progress
						})); err != nil {
						t.Fatal(err)
					}
					for want := range 3 {
						select {
						case got := <-seen:
							if got != float64(want+1) {
								t.Fatalf("progress %v, want %d", got, want+1)
							}
						case <-time.After(hang):
							t.Fatal("progress is missing")
						}
					}
				},
				"events both ways": func(t *testing.T) {
					for _, name := range []string{"near", "far"} {
						if _, err := agent.Ask[string](s.ctx, name+".publish", note{Text: "from " + name}); err != nil {
							t.Fatal(err)
						}
					}
					for _, name := range []string{"near", "far"} {
						testkit.Eventually(t, name+" receives both events", func() bool {
							heard, err := agent.Ask[[]string](s.ctx, name+".heard", nil)
							return err == nil && slices.Contains(heard, "from near") &&
								slices.Contains(heard, "from far")
						})
					}
				},
				"environment": func(t *testing.T) {
					env, err := agent.Ask[map[string]string](s.ctx, "far.env", nil)
					if err != nil {
						t.Fatal(err)
					}
					if env["name"] != "far" || env["instance"] != "far/0" || env["var"] != envFor(over)["PROBE_VAR"] ||
						filepath.Base(env["state"]) != "far" {
						t.Error(env)
					}
					if info, err := os.Stat(env["state"]); err != nil || !info.IsDir() {
						t.Error("the state folder:", err)
					}
					if other := env["pid"] != strconv.Itoa(os.Getpid()); other != (over == project.OverStdio) {
						t.Errorf("far runs in process %s, this is %d", env["pid"], os.Getpid())
					}
				},
				"directory": func(t *testing.T) {
					names, err := agent.Ask[[]string](s.ctx, "far.agents", nil)
					if err != nil || !slices.Equal(names, []string{"far", "near", "openmas"}) {
						t.Fatal(names, err)
					}
				},
				"many at once": func(t *testing.T) {
					errs := make(chan error, 300)
					for i := range cap(errs) {
						go func() {
							out, err := agent.Ask[note](s.ctx, "far.say", note{N: i})
							if err == nil && out.N != i {
								err = agent.Errorf(agent.CodeInternal, "asked %d, got %d", i, out.N)
							}
							errs <- err
						}()
					}
					for range cap(errs) {
						if err := <-errs; err != nil {
							t.Error(err)
						}
					}
				},
			}
			for _, name := range slices.Sorted(mapKeys(checks)) {
				t.Run(name, checks[name])
			}
			if st := s.agentStatus("far"); st.Communicator != over || st.Calls == 0 || st.State != runtime.StateReady {
				t.Errorf("status: %+v", st)
			}
		})
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
