package communicatortest

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/openmas/openmas/agent"
)

// metadata: what travels beside the input.
func metadata() []test {
	return []test{
		{"id, caller, key, attempt and trace context", nil, callFields},
		{"a tool that calls another agent's tool", nil, nested},
		{"calls in a circle", nil, circle},
		{"an agent that claims to be another", nil, claims},
	}
}

func callFields(b *bench) {
	calls := make(chan agent.Call, 1)
	b.tools(raw("see", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		calls <- *c
		return &agent.Result{}, nil
	}))
	trace := map[string]string{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"tracestate":  "vendor=a:1,other=b",
		"baggage":     "user=%C3%84,k=v;p=1",
	}
	sent := b.direct("see")
	sent.Key, sent.Attempt, sent.Meta = "key 1 / ß", 3, trace
	if res, err := b.dir.Call(b.ctx(), sent); err != nil {
		b.Fatal(res, err)
	}
	got := wait(b, calls, "the call")
	if got.ID != sent.ID || got.From.Agent != me || !got.From.Trusted || got.Key != sent.Key || got.Attempt != 3 ||
		got.Depth != 0 {
		b.Errorf("the call arrived as %+v, want %+v", got, sent)
	}
	for k, v := range trace {
		if got.Meta[k] != v {
			b.Errorf("%s arrived as %q, want %q", k, got.Meta[k], v)
		}
	}
	b.ask("see", nil)
	if got := wait(b, calls, "the second call"); got.Key != "" || got.Attempt != 1 || got.Meta["traceparent"] != "" {
		b.Errorf("a plain call arrived as %+v", got)
	}
}

// where is what a call says of itself at its end.
type where struct {
	Caller string `json:"caller"`
	Depth  int    `json:"depth"`
	Input  string `json:"input"`
}

func nested(b *bench) {
	b.serve("end", agent.Capabilities{Tools: []agent.Tool{raw("where",
		func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			return agent.JSONResult(where{c.From.Agent, c.Depth, string(c.Input)})
		})}})
	b.tools(agent.NewTool("relay", "", func(ctx context.Context, in map[string]int) (where, error) {
		return agent.Ask[where](ctx, "end.where", in)
	}))
	got, err := agent.Ask[where](b.ctx(), "callee.relay", map[string]int{"n": 1})
	if want := (where{"callee", 1, `{"n":1}`}); err != nil || got != want {
		b.Errorf("the nested call was %+v, %v, want %+v", got, err, want)
	}
}

// An agent calls as itself, at its place in the tree of calls, whatever it writes into a call.
func claims(b *bench) {
	b.serve("end", agent.Capabilities{Tools: []agent.Tool{raw("where",
		func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			return agent.JSONResult(where{c.From.Agent, c.Depth, string(c.Input)})
		})}})
	b.tools(raw("lie", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		env, _ := agent.EnvFrom(ctx)
		env.Name = "admin"
		lie := &agent.Call{Op: agent.OpTool, Agent: "end", Name: "where", Input: c.Input,
			From: agent.Identity{Agent: "admin", User: "root", Trusted: true}, Root: "other", Path: []string{"admin"}}
		if _, err := env.Directory.Call(agent.WithEnv(ctx, env), lie); err != nil {
			return nil, err
		}
		return env.Directory.Call(ctx, lie)
	}))
	var got where
	if err := b.ask("lie", map[string]int{"n": 1}).Decode(&got); err != nil {
		b.Fatal(err)
	}
	if want := (where{"callee", 1, `{"n":1}`}); got != want {
		b.Errorf("the call of an agent that lies arrived as %+v, want %+v", got, want)
	}
}

// Each agent waits for the other: neither may need the other's worker to answer.
func circle(b *bench) {
	for name, next := range map[string]string{"callee": "other", "other": "callee"} {
		b.serve(name, agent.Capabilities{Tools: []agent.Tool{raw("down",
			func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
				var n int
				if err := json.Unmarshal(c.Input, &struct{ N *int }{&n}); err != nil {
					return nil, err
				}
				if n == 0 {
					return agent.TextResult(c.From.Agent + " " + strconv.Itoa(c.Depth)), nil
				}
				return agent.CallTool(ctx, next+".down", map[string]int{"N": n - 1})
			})}})
	}
	if got := b.ask("down", map[string]int{"N": 9}).Text(); got != "callee 9" {
		b.Errorf("the end of the circle saw %q", got)
	}
}
