package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// load makes calls of an agent, eight at a time, each of which notes itself in a file.
func load(s *system, name string) *testkit.Load {
	return loadBy(s, 8, func(ctx context.Context, in note) error {
		_, err := agent.Ask[string](ctx, name+".book", in)
		return err
	})
}

func loadBy(s *system, callers int, call func(context.Context, note) error) *testkit.Load {
	l := testkit.NewLoad(s.t, filepath.Join(s.t.TempDir(), "book"))
	for range callers {
		l.Caller(func(n int) error { return call(context.WithoutCancel(s.ctx), note{Text: l.Ledger, N: n}) })
	}
	return l
}

// An agent is restarted under load without a call lost, over every communicator, with one instance
// and with two.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		for replicas := 1; replicas <= 2; replicas++ {
			t.Run(fmt.Sprintf("%s/%d", over, replicas), func(t *testing.T) {
				cfg := pair(over)
				far := cfg.Agents["far"]
				far.Replicas = replicas
				cfg.Agents["far"] = far
				s := start(t, cfg, nil)
				b := load(s, "far")
				for range 5 {
					before := b.Calls()
					done, err := s.Operate(t.Context(), "restart", "far", -1)
					if err != nil || len(done.Instances) != replicas {
						t.Fatal(done, err)
					}
					for _, i := range done.Instances {
						if i.State != runtime.StateReady || i.Cut != "" || i.Error != "" {
							t.Errorf("%+v", i)
						}
					}
					testkit.Eventually(t, "calls go on", func() bool { return b.Calls() > before+8 })
				}
				b.Audit()
			})
		}
	}
}

// What an operator has stopped fails at once and says how to start it, stays listed, and works when
// it was started.
func TestStopAndStart(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			s := start(t, pair(over), nil)
			if done, err := s.Operate(t.Context(), "stop", "far", -1); err != nil ||
				done.Instances[0].State != runtime.StateStopped {
				t.Fatal(done, err)
			}
			began := time.Now() // it would wait for what starts for 10 s (ready_wait)
			_, err := agent.Ask[note](s.ctx, "far.say", note{})
			if agent.CodeOf(err) != agent.CodeUnavailable || time.Since(began) >= 10*time.Second ||
				!strings.Contains(err.Error(), "agent far is stopped by openmas stop; openmas start far starts it") {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			if st := s.agentStatus("far"); st.State != runtime.StateStopped || len(st.Tools) == 0 {
				t.Errorf("%+v", st)
			}
			publish := func(text string) {
				if _, err := agent.Ask[string](s.ctx, "near.publish", note{Text: text}); err != nil {
					t.Error(err)
				}
			}
			publish("while it was stopped")
			if done, err := s.Operate(t.Context(), "start", "far", -1); err != nil ||
				done.Instances[0].State != runtime.StateReady {
				t.Fatal(done, err)
			}
			if out, err := agent.Ask[note](s.ctx, "far.say", note{Text: "hi"}); err != nil || out.Text != "far hi" {
				t.Error(out, err)
			}
			publish("after it")
			testkit.Eventually(t, "it gets events again", func() bool {
				heard, err := agent.Ask[[]string](s.ctx, "far.heard", nil)
				return err == nil && len(heard) == 1 && heard[0] == "after it"
			})
			if done, err := s.Operate(t.Context(), "start", "far", -1); err != nil || len(done.Instances) != 0 {
				t.Errorf("a start of what runs: %+v, %v", done, err)
			}
		})
	}
}

// Calls below one in flight are taken while its agent waits for that one: else it would wait for
// ever.
func TestRestartWaitsForCallsBelowOneInFlight(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			s := start(t, pair(over), nil)
			release := filepath.Join(t.TempDir(), "go on")
			answer := make(chan error, 1)
			go func() { // near waits, then asks far, which asks near
				_, err := agent.Ask[note](s.ctx, "far.wait-around", note{Text: release})
				answer <- err
			}()
			testkit.Eventually(t, "the call is in flight", func() bool {
				return s.agentStatus("far").Instances[0].InFlight == 1
			})
			restarted := make(chan error, 1)
			go func() {
				done, err := s.Operate(t.Context(), "restart", "far", 0)
				if err == nil && done.Instances[0].Cut != "" {
					err = fmt.Errorf("cut: %s", done.Instances[0].Cut)
				}
				restarted <- err
			}()
			testkit.Eventually(t, "far drains", func() bool {
				return s.agentStatus("far").Instances[0].State == runtime.StateRestarting
			})
			if err := os.WriteFile(release, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, c := range []<-chan error{answer, restarted} {
				if err := testkit.Receive(t, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// One instance is stopped alone; what is not there is refused in plain words.
func TestOperateOneInstance(t *testing.T) {
	t.Parallel()
	cfg := pair(project.OverLocal)
	far := cfg.Agents["far"]
	far.Replicas = 2
	cfg.Agents["far"] = far
	s := start(t, cfg, nil)
	if _, err := s.Operate(t.Context(), "stop", "far", 1); err != nil {
		t.Fatal(err)
	}
	st := s.agentStatus("far")
	if st.State != runtime.StateReady || st.Instances[1].State != runtime.StateStopped ||
		st.Instances[1].Error != "stopped by openmas stop; openmas start far/1 starts it" {
		t.Errorf("%+v", st.Instances)
	}
	if _, err := agent.Ask[note](s.ctx, "far.say", note{}); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"fra": `no agent "fra"; did you mean "far"?`, "openmas": "--all"} {
		if _, err := s.Operate(t.Context(), "restart", name, -1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Operate(t.Context(), "restart", "far", 2); err == nil ||
		!strings.Contains(err.Error(), "far/0 to far/1") {
		t.Error(err)
	}
}

// failing is an agent whose Runner fails when it is told to.
type failing struct{ now chan struct{} }

func (f failing) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func (f failing) Run(ctx context.Context) error {
	select {
	case <-f.now:
		return errors.New("as told")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// What an agent names under restarts_with is restarted when it is back: after its process has died,
// after its Runner has failed, and after openmas restart. What somebody has stopped stays so.
func TestRestartsWith(t *testing.T) {
	t.Parallel()
	now := make(chan struct{})
	cfg := pair(project.OverStdio)
	far := cfg.Agents["far"]
	far.RestartsWith = []string{"near"}
	cfg.Agents["far"] = far
	cfg.Agents["runner"] = project.Agent{Type: "failing", RestartsWith: []string{"far"}}
	s := start(t, cfg, agent.Types{"failing": func() agent.Agent { return failing{now} }})
	forgets := func(why string, f func()) {
		t.Helper()
		if err := agent.Publish(s.Context(t.Context()), "probe.said", note{Text: why}); err != nil {
			t.Fatal(err)
		}
		heard := func(n int) func() bool {
			return func() bool {
				all, err := agent.Ask[[]string](s.ctx, "near.heard", nil)
				return err == nil && len(all) == n
			}
		}
		testkit.Eventually(t, "near has heard of it", heard(1))
		f()
		testkit.Eventually(t, "near was restarted: "+why, heard(0))
	}
	forgets("the process of far dies", func() { _, _ = agent.Ask[string](s.ctx, "far.exit", nil) })
	forgets("the Runner fails", func() { now <- struct{}{} })
	forgets("openmas restart", func() {
		done, err := s.Operate(t.Context(), "restart", "runner", -1)
		if err != nil || len(done.Instances) != 3 {
			t.Errorf("%+v, %v", done, err)
		}
	})
	if _, err := s.Operate(t.Context(), "stop", "near", -1); err != nil {
		t.Fatal(err)
	}
	if done, err := s.Operate(t.Context(), "restart", "far", -1); err != nil || len(done.Instances) != 1 ||
		s.agentStatus("near").State != runtime.StateStopped {
		t.Errorf("%+v, %v, %+v", done, err, s.agentStatus("near"))
	}
}
