package agent_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

func TestAskFillsInTheCall(t *testing.T) {
	var calls []agent.Call
	note := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		calls = append(calls, *c)
		if c.Agent == "a" {
			return agent.CallTool(ctx, "b.note", city{Name: "Bern"}, agent.IdempotencyKey("k"))
		}
		if agent.CallFrom(ctx) != c {
			t.Error("CallFrom gives another call")
		}
		return nil, nil
	})
	caps := agent.Capabilities{Tools: []agent.Tool{agent.RawTool("note", "", nil, note)}}
	ctx := system(t, map[string]agent.Capabilities{"a": caps, "b": caps})
	if _, err := agent.CallTool(ctx, "a.note", json.RawMessage(`{"x": 1}`)); err != nil || len(calls) != 2 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	a, b := calls[0], calls[1]
	if a.ID == "" || a.Op != agent.OpTool || a.Name != "note" || string(a.Input) != `{"x": 1}` ||
		a.From.Agent != "me" ||
		a.Depth != 0 || a.Attempt != 1 || a.Key != "" || a.Back != nil || a.Target() != "a.note" {
		t.Errorf("the first call is %+v", a)
	}
	if b.ID == "" || b.ID == a.ID || string(b.Input) != `{"name":"Bern"}` || b.From.Agent != "a" || b.Depth != 1 ||
		b.Key != "k" {
		t.Errorf("the second call is %+v", b)
	}
}

func TestAskRefuses(t *testing.T) {
	ctx := tools(t, agent.NewTool("say", "", func(context.Context, struct{}) (string, error) { return "sunny", nil }))
	for name, tt := range map[string]struct {
		ctx  context.Context
		tool string
		in   any
		code agent.Code
		text string
	}{
		"no agent.tool":     {ctx, "say", nil, agent.CodeInvalidArgument, "write agent.tool"},
		"no such agent":     {ctx, "nobody.say", nil, agent.CodeNotFound, "nobody"},
		"unencodable input": {ctx, "callee.say", make(chan int), agent.CodeInvalidArgument, "encode the input"},
		"a foreign context": {t.Context(), "callee.say", nil, agent.CodeInternal, "agent.WithEnv"},
		"a lonely agent": {agent.WithEnv(t.Context(), agent.Env{Name: "me"}), "callee.say", nil, agent.CodeInternal,
			"callee.say"},
	} {
		_, err := agent.Ask[string](tt.ctx, tt.tool, tt.in)
		wantCode(t, err, tt.code, true)
		if err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %s", name, err, tt.text)
		}
	}
	_, err := agent.Ask[city](ctx, "callee.say", nil)
	wantCode(t, err, agent.CodeInternal, false)
	if err == nil || !strings.HasPrefix(err.Error(), "callee.say: ") {
		t.Errorf("the error does not say which tool: %v", err)
	}
}

func TestEnvInContext(t *testing.T) {
	if _, ok := agent.EnvFrom(t.Context()); ok || agent.CallFrom(t.Context()) != nil {
		t.Error("a bare context belongs to an agent")
	}
	ctx := agent.WithBackChannel(agent.WithEnv(t.Context(), agent.Env{Name: "me"}), answers(`{}`))
	if env, ok := agent.EnvFrom(ctx); !ok || env.Name != "me" {
		t.Errorf("the env is %+v", env)
	}
	other := agent.WithEnv(ctx, agent.Env{Name: "other"})
	if _, err := agent.Roots(other); err != nil {
		t.Errorf("the back-channel is lost under another env: %v", err)
	}
}

func BenchmarkAsk(b *testing.B) {
	type in struct {
		Name string `json:"name"`
		Days int    `json:"days"`
	}
	type out struct {
		City  string    `json:"city"`
		Highs []float64 `json:"highs"`
	}
	ctx := tools(b, agent.NewTool("forecast", "", func(_ context.Context, c in) (out, error) {
		return out{City: c.Name, Highs: []float64{20.5, 21}}, nil
	}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := agent.Ask[out](ctx, "callee.forecast", in{"Bern", 2}); err != nil {
			b.Fatal(err)
		}
	}
}
