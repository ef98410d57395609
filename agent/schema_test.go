package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
)

type tree struct {
	Name     string  `json:"name"`
	Children []*tree `json:"children,omitempty"`
}

func inputOf[In any](opts ...agent.ToolOption) agent.Tool {
	return agent.NewTool("t", "", func(context.Context, In) (string, error) { return "", nil }, opts...)
}

func TestInputSchemas(t *testing.T) {
	const object = `{"type":"object"}`
	const cityObject = `{"type":"object","properties":{"name":{"type":"string","description":"the city's name"},"days":{"type":"integer"}},"required":["name"],"additionalProperties":false}`
	for name, tt := range map[string]struct {
		tool agent.Tool
		want string // the schema, by value
		err  string
	}{
		"a struct":  {tool: inputOf[city](), want: cityObject},
		"a pointer": {tool: inputOf[*city](), want: cityObject},
		"nothing":   {tool: inputOf[struct{}](), want: `{"type":"object","additionalProperties":false}`},
		"a map": {tool: inputOf[map[string]int](),
			want: `{"type":"object","additionalProperties":{"type":"integer"}}`},
		"any":      {tool: inputOf[any](), want: object},
		"raw JSON": {tool: inputOf[json.RawMessage](), want: object},
		"by hand": {tool: inputOf[tree](
			agent.WithInputSchema(json.RawMessage(`{"type":"object","required":["name"]}`))),
			want: `{"type":"object","required":["name"]}`},
		"by hand, from Go": {tool: inputOf[tree](agent.WithInputSchema(map[string]any{"type": "object"})),
			want: object},
		"a recursive type": {tool: inputOf[tree](), err: "agent.WithInputSchema"},
		"a string":         {tool: inputOf[string](), err: "take a struct or a map"},
		"a list":           {tool: inputOf[[]city](), err: "take a struct or a map"},
		"a channel":        {tool: inputOf[struct{ C chan int }](), err: "agent.WithInputSchema"},
		"by hand, no object": {tool: inputOf[city](agent.WithInputSchema(json.RawMessage(`{"type":"string"}`))),
			err: `must be "object"`},
		"by hand, no schema": {tool: inputOf[city](agent.WithInputSchema(json.RawMessage(`[1]`))),
			err: "is no JSON schema"},
		"by hand, no JSON": {tool: inputOf[city](agent.WithInputSchema(json.RawMessage(`{`))),
			err: "is no JSON schema"},
		"by hand, unencoded": {tool: inputOf[city](agent.WithInputSchema(func() {})), err: "is no JSON schema"},
		"by hand, broken ref": {tool: inputOf[city](
			agent.WithInputSchema(json.RawMessage(`{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}`))),
			err: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.tool.Err()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("the error is %v, want one that says %s", err, tt.err)
				}
				return
			}
			if err != nil || !equalJSON(tt.tool.Info().InputSchema, tt.want) {
				t.Errorf("the schema is %s, %v, want %s", tt.tool.Info().InputSchema, err, tt.want)
			}
		})
	}
}

func equalJSON(a json.RawMessage, b string) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func outputOf[Out any](opts ...agent.ToolOption) string {
	return string(agent.NewTool("t", "", func(context.Context, struct{}) (out Out, err error) {
		return
	}, opts...).Info().OutputSchema)
}

// A raw tool is what its schema and its options say.
func TestRawTools(t *testing.T) {
	h := agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) { return nil, nil })
	plain := agent.RawTool("t", "d", nil, h, agent.ReadOnly())
	if i := plain.Info(); plain.Err() != nil || string(i.InputSchema) != `{"type":"object"}` || i.Description != "d" ||
		i.Annotations == nil || !i.Annotations.ReadOnly {
		t.Errorf("the tool is %+v, %v", i, plain.Err())
	}
	_, err := plain.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "t", Input: json.RawMessage(`{"a":`)})
	wantCode(t, err, agent.CodeInvalidArgument, true)
	if err := agent.RawTool("t", "", json.RawMessage(`[1]`), h).Err(); err == nil ||
		!strings.Contains(err.Error(), "input schema: ") {
		t.Errorf("a schema that is none: %v", err)
	}
}

// MCP wants an object there, or nothing.
func TestOutputSchemas(t *testing.T) {
	for name, got := range map[string]string{"a string": outputOf[string](), "a list": outputOf[[]city](),
		"a map": outputOf[map[string]int](), "any": outputOf[any](), "a result": outputOf[*agent.Result](),
		"content": outputOf[agent.Content](), "a recursive type": outputOf[tree](), "a time": outputOf[time.Time]()} {
		if got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := outputOf[*city](); !strings.Contains(got, "the city's name") {
		t.Errorf("a struct: %q", got)
	}
	if got := outputOf[string](
		agent.WithOutputSchema(map[string]string{"type": "object"})); got != `{"type":"object"}` {
		t.Errorf("by hand: %q", got)
	}
}

func TestInputIsValidatedOnce(t *testing.T) {
	ran := 0
	ctx := tools(t,
		agent.NewTool("typed", "", func(context.Context, city) (string, error) { ran++; return "", nil }),
		agent.NewTool("pointer", "", func(_ context.Context, c *city) (string, error) { ran++; return c.Name, nil }),
		agent.NewTool("any", "", func(_ context.Context, v any) (any, error) { ran++; return v, nil }),
		agent.NewTool("tree", "", func(_ context.Context, v tree) (int, error) {
			ran++
			return len(v.Children), nil
		}, agent.WithInputSchema(json.RawMessage(`{"type":"object"}`))),
	)
	for _, tt := range []struct {
		tool, in string
		code     agent.Code
	}{
		{"typed", `{"name":"x"}`, ""}, {"typed", ``, agent.CodeInvalidArgument},
		{"typed", `null`, agent.CodeInvalidArgument}, {"typed", `{"name":"x","town":1}`, agent.CodeInvalidArgument},
		{"typed", `{"name":"x","days":1.5}`, agent.CodeInvalidArgument},
		{"typed", `{"name":null}`, agent.CodeInvalidArgument}, {"typed", `[]`, agent.CodeInvalidArgument},
		{"typed", `{"name":"x"`, agent.CodeInvalidArgument}, {"typed", `{"name":"x"} {}`, agent.CodeInvalidArgument},
		{"pointer", `{"name":"x"}`, ""}, {"pointer", `{}`, agent.CodeInvalidArgument},
		{"any", ``, ""}, {"any", `{"a":1}`, ""}, {"any", `"a"`, agent.CodeInvalidArgument},
		{"tree", `{"name":"a","children":[{"name":"b","children":[{}]}]}`, ""},
		{"tree", `{"name":7}`, agent.CodeInvalidArgument},
	} {
		before := ran
		_, err := agent.CallTool(ctx, "callee."+tt.tool, json.RawMessage(tt.in))
		wantCode(t, err, tt.code, tt.code != "")
		if (ran != before) != (tt.code == "") {
			t.Errorf("%s %s: the tool ran %d times", tt.tool, tt.in, ran-before)
		}
	}
}

func TestTools(t *testing.T) {
	yes, no := true, false
	tool := agent.NewTool("t", "says", func(context.Context, struct{}) (string, error) {
		return "", nil
	}, agent.ReadOnly(), agent.Idempotent(), agent.Destructive(false), agent.OpenWorld(true), agent.Title("T"))
	want := agent.ToolInfo{Name: "t", Title: "T", Description: "says", InputSchema: tool.Info().InputSchema,
		Annotations: &agent.Annotations{ReadOnly: true, Idempotent: true, Destructive: &no, OpenWorld: &yes}}
	if !reflect.DeepEqual(tool.Info(), want) || !tool.Info().Repeatable() {
		t.Errorf("the tool is %+v", tool.Info())
	}
	if (agent.ToolInfo{}).Repeatable() ||
		(agent.ToolInfo{Annotations: &agent.Annotations{Destructive: &no}}).Repeatable() {
		t.Error("a tool that declares nothing is repeatable")
	}
	for _, bad := range []agent.Tool{{}, agent.RawTool("t", "", nil, nil), agent.NewTool[any, any]("t", "", nil),
		inputOf[string]()} {
		if bad.Err() == nil {
			t.Errorf("%+v is no error", bad.Info())
		}
		_, err := bad.Call(t.Context(), &agent.Call{})
		wantCode(t, err, agent.CodeInternal, true)
	}
}

func TestMiddleware(t *testing.T) {
	var order []string
	mw := func(name string) agent.Middleware {
		return func(next agent.Caller) agent.Caller {
			return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
				order = append(order, name)
				return next.Call(ctx, c)
			})
		}
	}
	stop := func(err error) agent.Middleware {
		return func(agent.Caller) agent.Caller {
			return agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) { return nil, err })
		}
	}
	say := func(context.Context, city) (string, error) { order = append(order, "tool"); return "", nil }
	ctx := tools(t,
		agent.NewTool("two", "", say, agent.WithMiddleware(mw("outer"), mw("inner"))),
		agent.NewTool("plain", "", say, agent.WithMiddleware(stop(errors.New("no")))),
		agent.NewTool("refuse", "", say, agent.WithMiddleware(stop(agent.Refusedf(agent.CodePermissionDenied, "no")))),
		agent.NewTool("mute", "", say, agent.WithMiddleware(stop(nil))),
	)
	if _, err := agent.CallTool(ctx, "callee.two", city{}); err != nil ||
		strings.Join(order, " ") != "outer inner tool" {
		t.Errorf("the order is %v, %v", order, err)
	}
	order = nil
	_, err := agent.CallTool(ctx, "callee.two", nil)
	wantCode(t, err, agent.CodeInvalidArgument, true)
	_, err = agent.CallTool(ctx, "callee.plain", city{})
	wantCode(t, err, agent.CodeToolFailed, false)
	_, err = agent.CallTool(ctx, "callee.refuse", city{})
	wantCode(t, err, agent.CodePermissionDenied, true)
	if res, err := agent.CallTool(ctx, "callee.mute", city{}); err != nil || res == nil {
		t.Errorf("a middleware that gives neither: %v, %v", res, err)
	}
	if order != nil {
		t.Errorf("what ran is %v", order)
	}
}

// A schema that allows everything is encoded as true by default, and clients made with the
// TypeScript SDK refuse a whole list of tools for it.
func TestPropertiesAreObjects(t *testing.T) {
	type deep struct {
		Raw  json.RawMessage `json:"raw"`
		Said any             `json:"said" jsonschema:"what was said"`
	}
	type value struct {
		Any   any             `json:"any"`
		Raw   json.RawMessage `json:"raw"`
		List  []any           `json:"list"`
		Map   map[string]any  `json:"map"`
		Deep  deep            `json:"deep"`
		Deeps map[string]deep `json:"deeps"`
	}
	ran := 0
	tool := agent.NewTool("t", "", func(_ context.Context, v value) (value, error) { ran++; return v, nil })
	for _, schema := range []json.RawMessage{tool.Info().InputSchema, tool.Info().OutputSchema} {
		s := string(schema)
		for _, name := range []string{"any", "raw", "items", "said"} {
			if strings.Contains(s, `"`+name+`":true`) || !strings.Contains(s, `"`+name+`":{"description":`) {
				t.Errorf("%s: %s", name, s)
			}
		}
	}
	in := `{"any":null,"raw":[1],"list":[null,{}],"map":{"x":1},"deep":{"raw":"","said":2},"deeps":{"d":{"raw":true,"said":null}}}`
	if _, err := tool.Call(t.Context(), &agent.Call{Input: json.RawMessage(in)}); err != nil || ran != 1 {
		t.Error(err)
	}
}

// TestContentAsInput: a tool may take what MCP calls content, a model's tool for example.
func TestContentAsInput(t *testing.T) {
	ctx := one(t, agent.Capabilities{Tools: []agent.Tool{agent.NewTool("sample", "",
		func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
			return agent.SampleResult{Role: "assistant", Model: "m", Content: r.Messages[0].Content}, nil
		})}})
	got, err := agent.Ask[agent.SampleResult](ctx, "callee.sample",
		agent.SampleRequest{MaxTokens: 1, Messages: []agent.SampleMessage{agent.UserMessage(agent.Text("hi"))}})
	if err != nil || got.Content.Text() != "hi" || got.Content[0].Type != agent.ContentText {
		t.Errorf("%+v, %v", got, err)
	}
}

// A program with thousands of agents of one type infers its schemas once.
func TestASchemaIsInferredOnce(t *testing.T) {
	type in struct {
		Name string `json:"name"`
	}
	type out struct {
		Size int `json:"size"`
	}
	tool := func() agent.ToolInfo {
		return agent.NewTool("measure", "", func(context.Context, in) (out, error) { return out{}, nil }).Info()
	}
	a, b := tool(), tool()
	if &a.InputSchema[0] != &b.InputSchema[0] || &a.OutputSchema[0] != &b.OutputSchema[0] {
		t.Error("the second tool of these types has schemas of its own")
	}
	if n := testing.AllocsPerRun(10, func() { tool() }); n > 20 {
		t.Errorf("%v allocations for a tool whose types are known", n)
	}
}

// An error about an input names the member and the number as the caller wrote them.
func TestInputErrorsNameTheMember(t *testing.T) {
	tool := inputOf[json.RawMessage](agent.WithInputSchema(json.RawMessage(`{"type":"object","properties":{
		"count":{"type":"integer","minimum":1,"maximum":10},
		"rate":{"type":"number","exclusiveMaximum":0.5},
		"a/b":{"type":"object","properties":{"list":{"type":"array","items":{"type":"object","properties":{
			"name":{"type":"string"}}}}}},
		"of":{"type":"object","additionalProperties":{"type":"string"}},
		"word":{"enum":["3.000000"]},
		"free":{}},"required":["count"]}`)))
	host, err := agent.NewHost(agent.Env{Name: "a"}, agent.Capabilities{Tools: []agent.Tool{tool}})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{}`:                     `invalid input: required: missing properties: ["count"]`,
		`{"count":0}`:            `invalid input: count: minimum: 0 is less than 1`,
		`{"count":11}`:           `invalid input: count: maximum: 11 is greater than 10`,
		`{"count":"1/1"}`:        `invalid input: count: type: 1/1 has type "string", want "integer"`,
		`{"count":1,"rate":0.5}`: `invalid input: rate: exclusiveMaximum: 1/2 is greater than or equal to 0.500000`,
		`{"count":1,"a/b":{"list":[{},{"name":1}]}}`: `invalid input: a/b.list[].name: type: 1 has type "integer", want "string"`,
		`{"count":1,"of":{"x":1}}`:                   `invalid input: of[]: type: 1 has type "integer", want "string"`,
		`{"count":1,"word":"3.000000 "}`:             `invalid input: word: enum: 3.000000  does not equal any of: [3.000000]`,
	} {
		_, err := host.Call(t.Context(),
			&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t", Input: json.RawMessage(in)})
		if agent.CodeOf(err) != agent.CodeInvalidArgument || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}
