package runtime_test

import (
	"context"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// served is how many calls of any process an agent has served in this one.
func served(s *system, name string) (n int64) {
	for _, i := range s.agentStatus(name).Instances {
		if i.Process == "" {
			n += i.Served
		}
	}
	return n
}

// An agent that runs in two processes is stopped in one: the other one serves the calls that were
// made there, in the other one, and in a third. None is lost, and when it was started again both
// serve.
func TestStopInOneOfTwoProcesses(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub, project.OverStdio} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			dir, cfg := t.TempDir(), pair(over)
			a, b := part(t, dir, cfg, "near", "far").ready(), part(t, dir, cfg, "far").ready()
			c := part(t, dir, cfg).ready() // only calls
			all := map[string]*system{"a": a, "b": b, "c": c}
			books := map[string]*testkit.Load{}
			for name, s := range all {
				testkit.Eventually(t, name+" sees both", func() bool {
					return len(s.agentStatus("far").Instances) == 2
				})
				books[name] = loadBy(s, 4, func(ctx context.Context, in note) error {
					_, err := agent.Ask[string](ctx, "far.book", in)
					return err
				})
			}
			goOn := func(why string, serving ...*system) {
				t.Helper()
				for name, b := range books {
					before := b.Calls()
					testkit.Eventually(t, "calls of "+name+" go on "+why, func() bool {
						return b.Calls() > before+8
					})
				}
				for _, s := range serving {
					before := served(s, "far")
					testkit.Eventually(t, "it serves "+why, func() bool { return served(s, "far") > before })
				}
			}
			for range 3 {
				goOn("while both run", a, b)
				if done, err := b.Operate(t.Context(), "stop", "far", -1); err != nil || done.Instances[0].Cut != "" {
					t.Fatal(done, err)
				}
				before := served(b, "far")
				goOn("while it is stopped", a)
				if n := served(b, "far"); n != before {
					t.Errorf("what is stopped has served %d calls", n-before)
				}
				if st := b.agentStatus("far"); st.Instances[0].State != runtime.StateStopped {
					t.Errorf("%+v", st)
				}
				if _, err := b.Operate(t.Context(), "start", "far", -1); err != nil {
					t.Fatal(err)
				}
			}
			goOn("while both run", a, b)
			for name, b := range books {
				b.Audit("from " + name)
			}
		})
	}
}

// The agent is started in one process and at once stopped in the other one, time and again: no call
// is lost, whoever makes it.
func TestStartHereAndStopThere(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			dir, cfg := t.TempDir(), pair(over)
			a, b := part(t, dir, cfg, "near", "far").ready(), part(t, dir, cfg, "far").ready()
			c := part(t, dir, cfg).ready() // only calls
			books := map[string]*testkit.Load{}
			for name, s := range map[string]*system{"a": a, "b": b, "c": c} {
				testkit.Eventually(t, name+" sees both", func() bool {
					return len(s.agentStatus("far").Instances) == 2
				})
				books[name] = loadBy(s, 2, func(ctx context.Context, in note) error {
					_, err := agent.Ask[string](ctx, "far.book", in)
					return err
				})
			}
			operate := func(s *system, verb string) {
				t.Helper()
				if _, err := s.Operate(t.Context(), verb, "far", -1); err != nil {
					t.Error(err)
				}
			}
			operate(b, "stop")
			for range 4 {
				operate(b, "start")
				operate(a, "stop")
				operate(a, "start")
				operate(b, "stop")
			}
			for name, b := range books {
				before := b.Calls()
				testkit.Eventually(t, "calls of "+name+" go on", func() bool { return b.Calls() > before+8 })
				b.Audit("from " + name)
			}
		})
	}
}

// An agent that is stopped in a process says so as soon as it runs in no other one, and only then:
// whether the other one is stopped, ends, or comes back.
func TestStopInAllProcesses(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			dir, cfg := t.TempDir(), pair(over)
			a := part(t, dir, cfg, "near", "far").ready()
			b := part(t, dir, cfg, "far").ready()
			testkit.Eventually(t, "a sees both", func() bool { return len(a.agentStatus("far").Instances) == 2 })
			operate := func(s *system, verb string) {
				t.Helper()
				if _, err := s.Operate(t.Context(), verb, "far", -1); err != nil {
					t.Fatal(err)
				}
			}
			works := func() bool {
				_, err := agent.Ask[note](a.ctx, "far.say", note{})
				return err == nil
			}
			says := func() bool {
				_, err := agent.Ask[note](a.ctx, "far.say", note{})
				return err != nil && strings.Contains(err.Error(),
					"is stopped by openmas stop; openmas start far starts it")
			}
			operate(a, "stop")
			if !works() {
				t.Error("b does not get the calls")
			}
			operate(b, "stop")
			testkit.Eventually(t, "nobody has it", says, a.log)
			operate(b, "start")
			testkit.Eventually(t, "b has it", works)
			b.stop()
			if err := b.wait(); err != nil {
				t.Error(err)
			}
			testkit.Eventually(t, "b is gone", says, a.log)
			b = part(t, dir, cfg, "far").ready()
			testkit.Eventually(t, "another one comes", works)
			operate(a, "start")
			operate(b, "stop")
			before := served(a, "far")
			testkit.Eventually(t, "a serves again", func() bool { return works() && served(a, "far") > before }, a.log)
		})
	}
}

// Who calls an agent that is stopped in every process is told so, and served as soon as it was
// started: its breakers count none of these calls.
func TestNoBreakerOpensForWhatIsStopped(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub, project.OverStdio} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			dir, cfg := t.TempDir(), pair(over)
			a := part(t, dir, cfg, "near", "far").ready()
			b := part(t, dir, cfg, "far").ready()
			c := part(t, dir, cfg).ready() // only calls
			testkit.Eventually(t, "c sees both", func() bool { return len(c.agentStatus("far").Instances) == 2 })
			for _, s := range []*system{a, b} {
				if _, err := s.Operate(t.Context(), "stop", "far", -1); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range []*system{a, b, c} {
				for range 15 {
					_, err := agent.Ask[note](s.ctx, "far.say", note{})
					if agent.CodeOf(err) != agent.CodeUnavailable || strings.Contains(err.Error(), "breaker") {
						t.Fatal(err)
					}
				}
			}
			if _, err := b.Operate(t.Context(), "start", "far", -1); err != nil {
				t.Fatal(err)
			}
			for _, s := range []*system{a, b, c} {
				var err error
				testkit.Eventually(t, "it is called", func() bool {
					_, err = agent.Ask[note](s.ctx, "far.say", note{})
					return err == nil || strings.Contains(err.Error(), "breaker")
				}, s.log)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}
