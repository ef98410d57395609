package agenttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type city struct {
	Name string `json:"name"`
}

type position struct{ Lat, Lon float64 }

// weather asks geo, and publishes it.
type weather struct{ steps *steps }

func (w *weather) Capabilities() agent.Capabilities {
	return agent.Capabilities{Requires: []agent.Requirement{agent.Require("geo.locate")}, Tools: []agent.Tool{
		agent.NewTool("forecast", "Forecast the weather.", func(ctx context.Context, c city) (string, error) {
			pos, err := agent.Ask[position](ctx, "geo.locate", c)
			if err != nil {
				return "", err
			}
			if err := agent.Publish(ctx, "forecast.made", c, agent.EventKey(c.Name)); err != nil {
				return "", err
			}
			return fmt.Sprintf("%s at %v,%v: sun", c.Name, pos.Lat, pos.Lon), nil
		})}}
}

func (w *weather) Start(_ context.Context, env agent.Env) error {
	w.steps.add("start " + env.Name + " " + env.Instance)
	return nil
}

func (w *weather) Close(context.Context) error { w.steps.add("close weather"); return nil }

// steps is what happened, in order.
type steps struct {
	mu  sync.Mutex
	all []string
}

func (s *steps) add(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, what)
}

func (s *steps) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// geo is a real peer with a lifecycle.
type geo struct {
	agenttest.Script
	steps *steps
	run   func(context.Context) error
	start error
}

func (g *geo) Start(_ context.Context, env agent.Env) error {
	g.steps.add("start " + env.Name + " " + env.Instance)
	return g.start
}
func (g *geo) Run(ctx context.Context) error { return g.run(ctx) }
func (g *geo) Close(context.Context) error   { g.steps.add("close geo"); return nil }

func TestScriptedPeer(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{
		"weather": &weather{steps: &steps{}},
		"geo":     agenttest.Script{"locate": position{46.9, 7.4}},
	})
	got, err := agent.Ask[string](sys.Ctx(), "weather.forecast", city{"Bern"})
	if err != nil || got != "Bern at 46.9,7.4: sun" {
		t.Errorf("%q, %v", got, err)
	}
	if asked := agenttest.Inputs[city](sys, "geo.locate"); !slices.Equal(asked, []city{{"Bern"}}) {
		t.Errorf("geo was asked %v", asked)
	}
	calls := sys.Calls()
	if len(calls) != 2 || calls[0].Target() != "weather.forecast" || calls[0].From.Agent != agenttest.Caller ||
		calls[1].From.Agent != "weather" || calls[1].Depth != 1 || !calls[1].Done {
		t.Errorf("the calls are %+v", calls)
	}
	if p := sys.Published("forecast.made"); len(p) != 1 || p[0].Source != "weather" || p[0].Key != "Bern" ||
		string(p[0].Payload) != `{"name":"Bern"}` {
		t.Errorf("published: %+v", p)
	}
}

func TestScriptAnswers(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"peer": agenttest.Script{
		"text":    "plain",
		"value":   map[string]int{"n": 1},
		"nothing": nil,
		"error":   agent.Errorf(agent.CodeUnavailable, "asleep"),
		"plain":   errors.New("broken"),
		"result":  &agent.Result{Content: []agent.Content{agent.Text("a"), agent.Text("b")}},
		"func": agenttest.Func(func(_ context.Context, c city) (city, error) {
			return city{strings.ToUpper(c.Name)}, nil
		}),
		"raw": func(_ context.Context, c *agent.Call) (any, error) { return c.From.Agent, nil },
		"caller": agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) {
			return agent.TextResult("called"), nil
		}),
		"each": agenttest.Each("one", errors.New("two"),
			agenttest.Func(func(context.Context, struct{}) (string, error) {
				return "three", nil
			})),
		"tool": agent.NewTool("own-name", "", func(context.Context, struct{}) (string, error) { return "tool", nil }),
		"prompt": agent.NewPrompt("ask", "", func(context.Context, struct{}) (*agent.PromptResult, error) {
			return nil, nil
		}),
		"latest": agent.NewResource("test://latest", "latest", "", "", func(context.Context) (string, error) {
			return "new", nil
		}),
	}})
	for _, tt := range []struct{ tool, want, err string }{
		{tool: "text", want: "plain"}, {tool: "value", want: `{"n":1}`}, {tool: "nothing", want: "null"},
		{tool: "error", err: "unavailable: asleep"},
		{tool: "plain", err: "tool_failed: broken"}, {tool: "result", want: "a\nb"},
		{tool: "func", want: `{"name":"BERN"}`}, {tool: "raw", want: "test"},
		{tool: "caller", want: "called"}, {tool: "each", want: "one"}, {tool: "each", err: "tool_failed: two"},
		{tool: "each", want: "three"},
		{tool: "each", err: "tool_failed: the script of peer.each has 3 answers, and this is call 4"},
		{tool: "own-name", want: "tool"},
	} {
		res, err := agent.CallTool(sys.Ctx(), "peer."+tt.tool, city{"Bern"})
		if tt.tool == "own-name" {
			res, err = agent.CallTool(sys.Ctx(), "peer.own-name", nil)
		}
		if err != nil && err.Error() != tt.err || err == nil && (tt.err != "" || res.Text() != tt.want) {
			t.Errorf("%s gave %+v, %v; want %q, %q", tt.tool, res, err, tt.want, tt.err)
		}
	}
	if p, err := agent.GetPrompt(sys.Ctx(), "peer.ask", nil); err != nil || len(p.Messages) != 0 {
		t.Errorf("the prompt is %+v, %v", p, err)
	}
	if r, err := agent.ReadResource(sys.Ctx(), "peer", "test://latest"); err != nil || r[0].Text != "new" {
		t.Errorf("the resource is %+v, %v", r, err)
	}
}

func TestCallsInACircleEnd(t *testing.T) {
	down := func(ctx context.Context, c *agent.Call) (any, error) { return agent.CallTool(ctx, "loop.down", nil) }
	sys := agenttest.Run(t, agenttest.Agents{"loop": agenttest.Script{"down": down}})
	if _, err := agent.CallTool(sys.Ctx(), "loop.down", nil); agent.CodeOf(err) != agent.CodeResourceExhausted {
		t.Errorf("the circle ended with %v", err)
	}
	if n := len(sys.Calls("loop")); n != 18 {
		t.Errorf("%d calls were made, the last of them refused", n)
	}
}

func TestDirectoryListsTheAgents(t *testing.T) {
	var infos []agent.Info
	sys := agenttest.Run(t, agenttest.Agents{"b": agenttest.Script{"look": func(ctx context.Context,
		_ *agent.Call) (any, error) {
		env, _ := agent.EnvFrom(ctx)
		infos = env.Directory.Agents()
		_, ok := env.Directory.Agent("a")
		return ok, nil
	}}, "a": agenttest.Script{}})
	if ok, err := agent.Ask[bool](sys.Ctx(), "b.look", nil); err != nil || !ok || len(infos) != 2 ||
		infos[0].Name != "a" {
		t.Errorf("%v, %v, %+v", ok, err, infos)
	}
}

func TestBackChannelOfTheTest(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"asker": agenttest.Script{"ask": func(ctx context.Context,
		_ *agent.Call) (any, error) {
		return agent.Elicit[city](ctx, "Which city?")
	}}})
	ctx := agent.WithBackChannel(sys.Ctx(),
		agent.BackChannelFuncs{Elicit: func(context.Context, agent.ElicitRequest) (agent.ElicitResult, error) {
			return agent.ElicitResult{Action: agent.ElicitAccept, Content: json.RawMessage(`{"name":"Bern"}`)}, nil
		}})
	if got, err := agent.Ask[city](ctx, "asker.ask", nil); err != nil || got.Name != "Bern" {
		t.Errorf("%+v, %v", got, err)
	}
}

// A call has the deadline that it has in a runtime without a project file.
func TestCallsHaveTheRuntimesDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := agenttest.Run(t, agenttest.Agents{"geo": agenttest.Script{"locate": agenttest.Hang()}})
		began := time.Now()
		_, err := agent.CallTool(sys.Ctx(), "geo.locate", nil)
		if agent.CodeOf(err) != agent.CodeDeadlineExceeded || time.Since(began) != 30*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// An hour passes in no time: everything a System does stays in its bubble.
func TestOneHourTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticks := 0
		sys := agenttest.Run(t, agenttest.Agents{
			"weather": &weather{steps: &steps{}},
			"geo": &geo{Script: agenttest.Script{"locate": agenttest.Hang()}, steps: &steps{},
				run: func(ctx context.Context) error {
					for {
						select {
						case <-time.After(time.Minute):
							ticks++
						case <-ctx.Done():
							return ctx.Err()
						}
					}
				}},
		}, agenttest.CallTimeout(2*time.Hour))
		began := time.Now()
		ctx, cancel := context.WithTimeout(sys.Ctx(), time.Hour)
		defer cancel()
		_, err := agent.Ask[string](ctx, "weather.forecast", city{"Bern"})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Hour {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		sys.Close()
		if ticks < 59 {
			t.Errorf("the runner saw %d minutes", ticks)
		}
	})
}

// A call without an input has that of a zero value.
func TestCallsWithoutAnInput(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"geo": agenttest.Script{
		"locate": agenttest.Func(func(_ context.Context, c city) (string, error) { return "[" + c.Name + "]", nil })}})
	call := &agent.Call{Op: agent.OpTool, Agent: "geo", Name: "locate"}
	env, _ := agent.EnvFrom(sys.Ctx())
	if res, err := env.Directory.Call(sys.Ctx(), call); err != nil || res.Text() != "[]" {
		t.Errorf("%v, %v", res, err)
	}
	if got := agenttest.Inputs[city](sys, "geo.locate"); !slices.Equal(got, []city{{}}) {
		t.Errorf("%v", got)
	}
}
