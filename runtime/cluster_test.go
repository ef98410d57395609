package runtime_test

import (
	"slices"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// part is a process of a project that shares a broker: here, a runtime of its own in this process.
func part(t *testing.T, dir string, cfg *project.Config, only ...string) *system {
	t.Helper()
	c := *cfg
	c.Dir, c.Broker.Type = dir, project.BrokerNATS
	s := prepare(t, &c, nil, func(o *runtime.Options) {
		o.Only = only
		if len(only) == 0 {
			o.Mode = runtime.ModeObserve
		}
	})
	s.run()
	return s
}

func (s *system) ready() *system {
	s.t.Helper()
	select {
	case <-s.Ready():
	case err := <-s.done:
		close(s.done)
		s.t.Fatalf("the system did not start: %v\n%s", err, s.log)
	case <-time.After(hang):
		s.t.Fatalf("the system hangs at start\n%s", s.log)
	}
	return s
}

func TestProcessesShareAProject(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			dir, cfg := t.TempDir(), pair(over)
			a, b := part(t, dir, cfg, "near"), part(t, dir, cfg, "far")
			a.ready()
			b.ready()
			testkit.Eventually(t, "both know both", func() bool {
				_, far := a.Directory().Agent("far")
				_, near := b.Directory().Agent("near")
				return far && near
			})
			out, err := agent.Ask[note](a.ctx, "far.say", note{Text: "hi"})
			if err != nil || out.Text != "far hi" {
				t.Fatalf("across: %v, %v", out, err)
			}
			for _, ask := range []struct {
				s          *system
				tool, want string
			}{{a, "near.relay", "near at depth 1"}, {a, "far.relay", "far at depth 1"},
				{b, "near.relay", "near at depth 1"}} {
				if got, err := agent.Ask[string](ask.s.ctx, ask.tool, nil); err != nil || got != ask.want {
					t.Errorf("%s: %q, %v, want %q", ask.tool, got, err, ask.want)
				}
			}
			if _, err := agent.Ask[string](b.ctx, "near.publish", note{Text: "news"}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"near", "far"} {
				testkit.Eventually(t, name+" receives the event", func() bool {
					heard, err := agent.Ask[[]string](a.ctx, name+".heard", nil)
					return err == nil && slices.Equal(heard, []string{"news"})
				})
			}
			st := a.agentStatus("far")
			if len(st.Instances) != 1 || st.Instances[0].Process == "" || st.Instances[0].Host == "" ||
				st.Instances[0].Since.IsZero() {
				t.Errorf("far as near's process sees it: %+v", st.Instances)
			}

			c := part(t, dir, cfg).ready()
			testkit.Eventually(t, "an observer finds both", func() bool { return len(c.Directory().Agents()) == 3 })
			if out, err := agent.Ask[note](c.ctx, "near.say", note{Text: "there"}); err != nil ||
				out.Text != "near there" {
				t.Errorf("from an observer: %v, %v", out, err)
			}

			b.stop()
			if err := b.wait(); err != nil {
				t.Error(err)
			}
			testkit.Eventually(t, "far is gone", func() bool { _, ok := a.Directory().Agent("far"); return !ok })
			if _, err := agent.Ask[note](a.ctx, "far.say", note{}); agent.CodeOf(err) != agent.CodeNotFound {
				t.Errorf("a call to who is gone: %v", err)
			}
			b = part(t, dir, cfg, "far").ready()
			testkit.Eventually(t, "far is back", func() bool {
				out, err := agent.Ask[note](a.ctx, "far.say", note{})
				return err == nil && out.Text == "far "
			})
		})
	}
}

func TestReplicasInSeveralProcesses(t *testing.T) {
	dir := t.TempDir()
	cfg := pair(project.OverLocal)
	a := part(t, dir, cfg, "near").ready() // has the broker, and stays
	b, c := part(t, dir, cfg, "far"), part(t, dir, cfg, "far")
	for _, s := range []*system{b, c} {
		s.ready()
	}
	testkit.Eventually(t, "near's process sees both", func() bool {
		_, ok := a.Directory().Agent("far")
		return ok && len(a.agentStatus("far").Instances) == 2
	})
	testkit.Eventually(t, "both serve", func() bool {
		if _, err := agent.Ask[note](a.ctx, "far.say", nil); err != nil {
			t.Fatal(err)
		}
		return calls(b) > 0 && calls(c) > 0
	})
	c.stop()
	if err := c.wait(); err != nil {
		t.Error(err)
	}
	for range 100 {
		if _, err := agent.Ask[note](a.ctx, "far.say", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// calls is how many calls of other processes a process has served.
func calls(s *system) int64 {
	var n int64
	for _, i := range s.agentStatus("far").Instances {
		if i.Process == "" {
			n += i.Served
		}
	}
	return n
}
