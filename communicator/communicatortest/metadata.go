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
	var id string
	b.ask("see", nil, agent.IdempotencyKey("key 1 / ß"), func(c *agent.Call) { c.Attempt, c.Meta, id = 3, trace, c.ID })
	got := wait(b, calls, "the call")
	if got.ID != id || got.Caller != me || got.Key != "key 1 / ß" || got.Attempt != 3 || got.Depth != 0 {
		b.Errorf("the call arrived as %+v, want id %s", got, id)
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
			return agent.JSONResult(where{c.Caller, c.Depth, string(c.Input)})
		})}})
	b.tools(agent.NewTool("relay", "", func(ctx context.Context, in map[string]int) (where, error) {
		return agent.Ask[where](ctx, "end.where", in)
	}))
	got, err := agent.Ask[where](b.ctx(), "callee.relay", map[string]int{"n": 1})
	if want := (where{"callee", 1, `{"n":1}`}); err != nil || got != want {
		b.Errorf("the nested call was %+v, %v, want %+v", got, err, want)
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
					return agent.TextResult(c.Caller + " " + strconv.Itoa(c.Depth)), nil
				}
				return agent.CallTool(ctx, next+".down", map[string]int{"N": n - 1})
			})}})
	}
	if got := b.ask("down", map[string]int{"N": 9}).Text(); got != "callee 9" {
		b.Errorf("the end of the circle saw %q", got)
	}
}
