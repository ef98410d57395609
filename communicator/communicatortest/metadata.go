package communicatortest

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"github.com/openmas/openmas/agent"
)

// metadata: what travels beside the input.
func metadata() []test {
	return []test{
		{"id, key, attempt and trace context", nil, callFields},
		{"who calls, and where in the tree of calls", nil, origins},
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
	if got.ID != sent.ID || got.Key != sent.Key || got.Attempt != 3 {
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

// origins: an identity and a place in the tree of calls arrive as the runtime wrote them.
func origins(b *bench) {
	calls := make(chan agent.Call, 1)
	b.tools(raw("see", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		calls <- *c
		return &agent.Result{}, nil
	}))
	for name, sent := range map[string]agent.Call{
		"an agent on its own account": {From: agent.Identity{Agent: me, Instance: me + "/0", Trusted: true},
			Path: []string{me}},
		"an agent that serves a call": {From: agent.Identity{Agent: me, Instance: me + "/1", User: "Ann Ó%\n",
			Trusted: true},
			Root: "the root", Path: []string{"desk", "clerk-2", me}, Depth: 3, Budget: "x1/a%b"},
		"below an agent that began": {From: agent.Identity{Agent: me, Trusted: true}, Root: "r",
			Path: []string{me, me}, Depth: 1},
		"a client of the gateway":    {From: agent.Identity{User: "anonymous"}},
		"a program that is not ours": {From: agent.Identity{Agent: me, Instance: me + "/0"}, Path: []string{me}},
		"a program that hosts a system": {From: agent.Identity{Agent: me, User: "ann", Trusted: true},
			Path: []string{me}},
	} {
		c := b.direct("see")
		c.From, c.Path, c.Depth, c.Budget = sent.From, sent.Path, sent.Depth, sent.Budget
		if sent.Root != "" {
			c.Root = sent.Root
		}
		if res, err := b.dir.Call(b.ctx(), c); err != nil {
			b.Fatal(res, err)
		}
		got := wait(b, calls, "the call")
		if got.From != c.From || got.Root != c.Root || !slices.Equal(got.Path, c.Path) || got.Depth != c.Depth ||
			got.Budget != c.Budget {
			b.Errorf("%s: the call arrived from %+v, root %s, path %v, depth %d, budget %s, and not\nfrom %+v, root "+
				"%s, path %v, depth %d, budget %s",
				name, got.From, got.Root, got.Path, got.Depth, got.Budget, c.From, c.Root, c.Path, c.Depth, c.Budget)
		}
	}
}

// where is what a call knows of itself at its callee.
type where struct {
	From   agent.Identity
	Root   string
	Path   []string
	Depth  int
	Budget string
	Input  string
}

func whereTool() agent.Tool {
	return raw("where", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		return agent.JSONResult(where{c.From, c.Root, c.Path, c.Depth, c.Budget, string(c.Input)})
	})
}

// below is how "callee" calls when it serves a direct call.
func below(c *agent.Call, input string) where {
	return where{agent.Identity{Agent: "callee", User: c.From.User, Trusted: true}, c.Root,
		append(slices.Clone(c.Path), "callee"), c.Depth + 1, c.Budget, input}
}

func nested(b *bench) {
	b.serve("end", agent.Capabilities{Tools: []agent.Tool{whereTool()}})
	b.tools(agent.NewTool("relay", "", func(ctx context.Context, in map[string]int) (where, error) {
		return agent.Ask[where](ctx, "end.where", in)
	}))
	c := b.direct("relay")
	c.From, c.Path, c.Input = agent.Identity{User: "ann"}, nil, json.RawMessage(`{"n":1}`)
	b.wantWhere(c, below(c, `{"n":1}`))
}

// An agent calls as itself, at its place in the tree of calls, whatever it writes into a call.
func claims(b *bench) {
	b.serve("end", agent.Capabilities{Tools: []agent.Tool{whereTool()}})
	b.tools(raw("lie", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		env, _ := agent.EnvFrom(ctx)
		env.Name, env.Instance, env.User = "admin", "admin/0", "root"
		lie := &agent.Call{Op: agent.OpTool, Agent: "end", Name: "where", Input: c.Input,
			From: agent.Identity{Agent: "admin", User: "root", Trusted: true}, Root: "other", Path: []string{"admin"}}
		if _, err := env.Directory.Call(agent.WithEnv(ctx, env), lie); err != nil {
			return nil, err
		}
		return env.Directory.Call(ctx, lie)
	}))
	c := b.direct("lie")
	c.From.User, c.Root, c.Path, c.Depth, c.Budget, c.Input = "ann", "the root", []string{"desk", me}, 1, "p/1",
		json.RawMessage(`{"n":1}`)
	b.wantWhere(c, below(c, `{"n":1}`))
}

// wantWhere makes a call whose tool answers with where its own call arrived.
func (b *bench) wantWhere(c *agent.Call, want where) {
	b.Helper()
	res, err := b.dir.Call(b.ctx(), c)
	if err != nil {
		b.Fatal(err)
	}
	var got where
	if err := res.Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
		b.Errorf("the call below arrived as %+v, %v, want %+v", got, err, want)
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
