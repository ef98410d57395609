package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// with returns cfg with another agent in it.
func with(cfg *project.Config, name string, a project.Agent) *project.Config {
	next := *cfg
	next.Agents = maps.Clone(cfg.Agents)
	next.Agents[name] = a
	return &next
}

// prefixed is an agent of pair with another prefix.
func prefixed(a project.Agent, prefix string) project.Agent {
	a.Config = maps.Clone(a.Config)
	a.Config["prefix"] = prefix
	return a
}

func (s *system) reload(cfg *project.Config) runtime.Reloaded {
	s.t.Helper()
	done, err := s.Reload(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatalf("%v: %+v\n%s", err, done, s.log)
	}
	for _, c := range done.Changes {
		if !c.Done || c.Cut != "" || c.Error != "" {
			s.t.Errorf("%+v", c)
		}
	}
	return done
}

// An agent gets other settings under load without a call lost, over every communicator, and in both
// orders.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		for _, swap := range []string{"", project.StopFirst} {
			t.Run(over+swap, func(t *testing.T) {
				t.Parallel()
				cfg := pair(over)
				far := cfg.Agents["far"]
				far.Swap = swap
				cfg.Agents["far"] = far
				s := start(t, cfg, nil)
				b := load(s, "far")
				for n := range 5 {
					before := b.Calls()
					prefix := fmt.Sprintf("%d ", n)
					done := s.reload(with(cfg, "far", prefixed(cfg.Agents["far"], prefix)))
					if len(done.Changes) != 1 || done.Changes[0].Agent != "far" ||
						done.Changes[0].Keys[0].Key != "config.prefix" {
						t.Fatalf("%+v", done)
					}
					out, err := agent.Ask[note](s.ctx, "far.say", note{Text: "hi"})
					if err != nil || out.Text != prefix+"hi" {
						t.Error(out, err)
					}
					testkit.Eventually(t, "calls go on", func() bool { return b.Calls() > before+8 })
				}
				b.Audit()
				if calls := s.agentStatus("far").Calls; calls < b.Calls() {
					t.Errorf("the figures began anew: %d of %d", calls, b.Calls())
				}
			})
		}
	}
}

// An agent moves from each communicator to each other one.
func TestReloadToAnotherCommunicator(t *testing.T) {
	t.Parallel()
	cfg := pair(overs[0])
	s := start(t, cfg, nil)
	b := load(s, "far")
	for range 2 {
		for n, over := range overs {
			far := cfg.Agents["far"]
			if far.Communicator, far.Env = over, nil; over == project.OverStdio {
				far.Env = map[string]string{"GORACE": testkit.NoExitSleep}
			}
			far.Replicas = 1 + n%2
			s.reload(with(cfg, "far", far))
			before := b.Calls()
			testkit.Eventually(t, "calls go on", func() bool { return b.Calls() > before+8 })
			if st := s.agentStatus("far"); st.Communicator != over || len(st.Instances) != far.Replicas {
				t.Errorf("%+v", st)
			}
		}
	}
	b.Audit()
}

// What is wrong, or cannot change, changes nothing and is named.
func TestReloadRefuses(t *testing.T) {
	t.Parallel()
	cfg := pair(project.OverLocal)
	cfg.Drain.Timeout = 5 * time.Second
	s := start(t, cfg, nil)
	for _, c := range []struct {
		change func(*project.Config)
		want   []string
	}{
		{func(c *project.Config) { c.Project = "other"; c.Gateway = &project.Gateway{Listen: "127.0.0.1:0"} },
			[]string{"nothing was changed", "project openmas -> other", "gateway {…} (new)"}},
		{func(c *project.Config) { c.MCP.MaxCalls = 7 }, []string{"mcp.max_calls"}},
		{func(c *project.Config) { c.Agents["bad"] = project.Agent{Type: "nothing"} }, []string{`no type "nothing"`}},
		{func(c *project.Config) { c.Agents["bad"] = project.Agent{} }, []string{"does not say what the agent is"}},
		{func(c *project.Config) {
			c.Agents["near"] = project.Agent{Type: "probe", Config: map[string]any{"nonsense": 1}}
		}, []string{"nonsense"}},
	} {
		next := with(cfg, "near", cfg.Agents["near"])
		c.change(next)
		next.Agents["far"] = prefixed(next.Agents["far"], "changed ")
		_, err := s.Reload(t.Context(), next)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		if out, err := agent.Ask[note](s.ctx, "far.say", note{}); err != nil || out.Text != "far " {
			t.Error(out, err)
		}
	}
	next := with(cfg, "more", cfg.Agents["near"])
	next.Drain.Timeout = 6 * time.Second
	if would, err := s.Compare(next); err != nil || len(would.Changes) != 2 || would.Changes[0].Kind != "setting" ||
		would.Changes[1].Agent != "more" || would.Changes[1].Done {
		t.Errorf("%+v, %v", would, err)
	}
	if len(s.Status().Agents) != 2 {
		t.Error("a comparison has changed something")
	}
	if done := s.reload(cfg); len(done.Changes) > 0 {
		t.Errorf("%+v", done)
	}
}

// Each key of the gateway is refused by its name, and the error says what to do: the gateway is
// what its clients hold on to.
func TestReloadRefusesTheGateway(t *testing.T) {
	t.Parallel()
	const first, second = "sesame-sesame-open-1", "sesame-sesame-open-2"
	cfg := pair(project.OverLocal)
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0", Token: first + "-3", Expose: []string{"near"},
		Tokens: map[string]string{"ada": first}, Hosts: []string{"a.example"}, Origins: []string{"https://a.example"}}
	s := start(t, cfg, nil)
	changes := map[string]func(*project.Gateway){
		"listen":  func(g *project.Gateway) { g.Listen = "127.0.0.1:1" },
		"expose":  func(g *project.Gateway) { g.Expose = append(g.Expose, "far") },
		"token":   func(g *project.Gateway) { g.Token = second + "-3" },
		"tokens":  func(g *project.Gateway) { g.Tokens = map[string]string{"ada": second} },
		"hosts":   func(g *project.Gateway) { g.Hosts = nil },
		"origins": func(g *project.Gateway) { g.Origins = []string{"https://b.example"} },
	}
	for field := range reflect.TypeFor[project.Gateway]().Fields() {
		if key := field.Tag.Get("yaml"); changes[key] == nil {
			t.Errorf("gateway.%s is not tried", key)
		}
	}
	changes["expose:"] = func(g *project.Gateway) { g.Expose = nil } // all
	changes["expose []"] = func(g *project.Gateway) { g.Expose = []string{} }
	for key, change := range changes {
		next, g := with(cfg, "far", prefixed(cfg.Agents["far"], "changed ")), *cfg.Gateway
		change(&g)
		next.Gateway = &g
		key, _, _ = strings.Cut(strings.TrimSuffix(key, ":"), " ")
		_, err := s.Reload(t.Context(), next)
		if agent.CodeOf(err) != agent.CodeInvalidArgument || !strings.Contains(err.Error(), "gateway."+key) ||
			!strings.Contains(err.Error(), "stop the process and run it again") ||
			strings.Contains(err.Error(), first) || strings.Contains(err.Error(), second) {
			t.Errorf("%s: %v", key, err)
		}
		if out, err := agent.Ask[note](s.ctx, "far.say", note{}); err != nil || out.Text != "far " {
			t.Errorf("%s: something was changed: %+v, %v", key, out, err)
		}
	}
	none := with(cfg, "far", cfg.Agents["far"])
	none.Gateway = nil
	if _, err := s.Reload(t.Context(), none); err == nil ||
		!strings.Contains(err.Error(), "gateway (not there any more)") {
		t.Error(err)
	}
}

// An agent that does not start with its new settings keeps the old ones, and its calls.
func TestReloadOfWhatDoesNotStart(t *testing.T) {
	t.Parallel()
	for _, swap := range []string{"", project.StopFirst} {
		for _, over := range []string{project.OverLocal, project.OverPubSub, project.OverStdio, project.OverHTTP} {
			t.Run(over+swap, func(t *testing.T) {
				t.Parallel()
				cfg := pair(over)
				far := cfg.Agents["far"]
				far.Type, far.Swap, far.Config = "choosy", swap, map[string]any{"prefix": "far "}
				if over == project.OverStdio {
					far.Env = map[string]string{"GORACE": testkit.NoExitSleep}
				}
				cfg.Agents["far"] = far
				cfg.Agents["zoo"] = cfg.Agents["near"]
				s := start(t, cfg, nil)
				b := load(s, "far")
				next := with(cfg, "far", prefixed(far, "refuse"))
				next.Agents["zoo"] = prefixed(next.Agents["zoo"], "not reached ")
				done, err := s.Reload(t.Context(), next)
				why := "as told"
				if over == project.OverStdio {
					why = "exited with code 1"
				}
				if err == nil || !strings.Contains(err.Error(), why) || len(done.Changes) != 2 ||
					done.Changes[0].Done || done.Changes[1].Done {
					t.Errorf("%+v, %v", done, err)
				}
				before := b.Calls()
				testkit.Eventually(t, "calls go on", func() bool { return b.Calls() > before+8 })
				next.Agents["far"] = prefixed(far, "mended ")
				if done := s.reload(next); len(done.Changes) != 2 {
					t.Errorf("%+v", done)
				}
				if out, err := agent.Ask[note](s.ctx, "far.say", note{}); err != nil || out.Text != "mended " {
					t.Error(out, err)
				}
				b.Audit()
			})
		}
	}
}

// choosy is a probe that does not start with one prefix.
type choosy struct{ probe }

func (c *choosy) Start(ctx context.Context, env agent.Env) error {
	if c.Prefix == "refuse" {
		return errors.New("as told")
	}
	return c.probe.Start(ctx, env)
}

// Agents come and go: they can be called, get their events, and end.
func TestReloadAddsAndRemoves(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			cfg := pair(project.OverLocal)
			s := start(t, cfg, nil)
			b := load(s, "near")
			more := project.Agent{Type: "probe", Communicator: over, Config: map[string]any{"prefix": "more "}}
			next := with(cfg, "more", more)
			for range 2 {
				s.reload(next)
				out, err := agent.Ask[note](s.ctx, "more.say", note{Text: "hi"})
				if err != nil || out.Text != "more hi" {
					t.Error(out, err)
				}
				if _, err := agent.Ask[string](s.ctx, "near.publish", note{Text: "news"}); err != nil {
					t.Error(err)
				}
				testkit.Eventually(t, "it gets events", func() bool {
					heard, err := agent.Ask[[]string](s.ctx, "more.heard", nil)
					return err == nil && len(heard) == 1
				})
				s.reload(cfg)
				if _, err := agent.Ask[note](s.ctx, "more.say", note{}); agent.CodeOf(err) != agent.CodeNotFound {
					t.Error(err)
				}
			}
			b.Audit()
		})
	}
}

// steady is a Runner that notes how many of its kind run at once.
type steady struct {
	Word string `json:"word"`
	runs *atomic.Int64
	most *atomic.Int64
	all  *atomic.Int64
}

func (*steady) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func (r *steady) Run(ctx context.Context) error {
	r.most.Store(max(r.most.Load(), r.runs.Add(1)))
	r.all.Add(1)
	<-ctx.Done()
	r.runs.Add(-1)
	return nil
}

// A Runner ends before the one that follows it begins, and events reach one of them.
func TestReloadOfRunner(t *testing.T) {
	t.Parallel()
	for _, swap := range []string{"", project.StopFirst} {
		t.Run(swap, func(t *testing.T) {
			t.Parallel()
			var runs, most, all atomic.Int64
			cfg := pair(project.OverLocal)
			cfg.Agents["r"] = project.Agent{Type: "steady", Swap: swap, Config: map[string]any{"word": "0"}}
			s := start(t, cfg, agent.Types{"steady": func() agent.Agent {
				return &steady{runs: &runs, most: &most, all: &all}
			}})
			for n := range 5 {
				testkit.Eventually(t, "it runs", func() bool { return all.Load() == int64(n+1) })
				r := cfg.Agents["r"]
				r.Config = map[string]any{"word": fmt.Sprint(n + 1)}
				s.reload(with(cfg, "r", r))
			}
			testkit.Eventually(t, "the last one runs", func() bool { return all.Load() == 6 && runs.Load() == 1 })
			if most.Load() != 1 {
				t.Errorf("%d ran at once", most.Load())
			}
			if st := s.agentStatus("r"); st.Runner != runtime.StateRunning {
				t.Errorf("%+v", st)
			}
			gone := with(cfg, "near", cfg.Agents["near"])
			delete(gone.Agents, "r")
			s.reload(gone)
			testkit.Eventually(t, "it has ended", func() bool { return runs.Load() == 0 })
		})
	}
}
