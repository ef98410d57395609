package agenttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

func TestLifecycle(t *testing.T) {
	what, stopped := &steps{}, make(chan struct{})
	g := &geo{Script: agenttest.Script{"locate": position{}}, steps: what, run: func(ctx context.Context) error {
		env, _ := agent.EnvFrom(ctx)
		fmt.Fprint(env.Output, "hello from ", env.Name, " in ", env.StateDir != "")
		<-ctx.Done()
		close(stopped)
		return ctx.Err()
	}}
	sys := agenttest.Run(t, agenttest.Agents{"geo": g, "weather": &weather{what}})
	sys.Close()
	<-stopped
	if got, want := what.list(), []string{"start geo geo/0", "start weather weather/0", "close weather",
		"close geo"}; !slices.Equal(got, want) {
		t.Errorf("it went %v, want %v", got, want)
	}
	if got := sys.Output(); got != "hello from geo in true" {
		t.Errorf("the output is %q", got)
	}
	if _, err := agent.CallTool(sys.Ctx(), "geo.locate", nil); err == nil {
		t.Error("a closed system answers")
	}
}

func TestRunner(t *testing.T) {
	script := agenttest.Script{"locate": position{}}
	broken := &geo{Script: script, steps: &steps{}, run: func(context.Context) error {
		return errors.New("out of maps")
	}}
	sys := agenttest.Run(t, agenttest.Agents{"geo": broken})
	if err := sys.Wait("geo"); err == nil || !strings.Contains(err.Error(), "out of maps") {
		t.Errorf("Wait gave %v", err)
	}
	wild := &geo{Script: script, steps: &steps{}, run: func(context.Context) error { panic("lost") }}
	sys = agenttest.Run(t, agenttest.Agents{"geo": wild}, agenttest.ByHand())
	if err := sys.RunAgent(sys.Ctx(), "geo"); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("RunAgent gave %v", err)
	}
}

// recordTB is a test that is allowed to fail.
type recordTB struct {
	testing.TB
	cleanup []func()
	errors  []string
}

func (r *recordTB) Cleanup(f func())  { r.cleanup = append(r.cleanup, f) }
func (r *recordTB) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }
func (r *recordTB) end() {
	for _, f := range slices.Backward(r.cleanup) {
		f()
	}
}

func TestRunnersErrorFailsTheTest(t *testing.T) {
	tb, ran := &recordTB{TB: t}, make(chan struct{})
	agenttest.Run(tb, agenttest.Agents{"geo": &geo{steps: &steps{}, run: func(context.Context) error {
		defer close(ran)
		return errors.New("out of maps")
	}}})
	<-ran
	tb.end()
	if len(tb.errors) != 1 || !strings.Contains(tb.errors[0], `run agent "geo": out of maps`) {
		t.Errorf("the test was told %q", tb.errors)
	}
}

func TestStartFails(t *testing.T) {
	what := &steps{}
	_, err := agenttest.Start(t, agenttest.Agents{
		"a-geo": &geo{steps: what},
		"geo":   &geo{Script: agenttest.Script{"locate": 1}, steps: what, start: errors.New("no maps")},
	}, agenttest.ByHand())
	if err == nil || err.Error() != `start agent geo/0: no maps` {
		t.Errorf("Start gave %v", err)
	}
	if got, want := what.list(), []string{"start a-geo a-geo/0", "start geo geo/0", "close geo"}; !slices.Equal(got,
		want) {
		t.Errorf("it went %v, want %v", got, want)
	}
	for want, agents := range map[string]agenttest.Agents{
		`agent "weather" requires "geo.locate", which nobody here provides`: {"weather": &weather{},
			"geo": agenttest.Script{"find": 1}},
		`"Geo" is no agent name`: {"Geo": agenttest.Script{}},
		`agent "geo" is nil`:     {"geo": nil},
	} {
		if _, err := agenttest.Start(t, agents); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start gave %v, want %s", err, want)
		}
	}
}

// stepper writes down its start and end.
type stepper struct {
	agenttest.Script
	steps    *steps
	requires []string
	name     string
}

func (s *stepper) Capabilities() agent.Capabilities {
	var caps agent.Capabilities
	for _, name := range s.requires {
		caps.Requires = append(caps.Requires, agent.Require(name))
	}
	return caps
}

func (s *stepper) Start(_ context.Context, env agent.Env) error {
	s.name = env.Name
	s.steps.add("start " + env.Name)
	return nil
}

func (s *stepper) Close(context.Context) error { s.steps.add("close " + s.name); return nil }

// As TestStartAndStopGoInOrder has it for the runtime. Those in a circle go by name.
func TestStartAndStopGoInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		requires map[string][]string
		want     string
	}{
		"by level, then by name": {map[string][]string{"a": {"c"}, "b": nil, "c": nil},
			"start b, start c, start a, close a, close c, close b"},
		"circle": {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"a"}},
			"start a, start b, start c, close c, close b, close a"},
	} {
		t.Run(name, func(t *testing.T) {
			what, agents := &steps{}, agenttest.Agents{}
			for name, requires := range c.requires {
				agents[name] = &stepper{steps: what, requires: requires}
			}
			agenttest.Run(t, agents).Close()
			if got := strings.Join(what.list(), ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
