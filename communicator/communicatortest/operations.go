package communicatortest

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
)

// operations: every Op crosses, typed and raw, and a peer describes itself.
func operations() []test {
	return []test{
		{"a typed tool", nil, typedTool},
		{"a raw tool", nil, rawTool},
		{"a tool without input", nil, toolWithoutInput},
		{"a prompt", nil, prompt},
		{"a resource", nil, resource},
		{"a resource of a template", nil, resourceTemplate},
		{"a completion", nil, completion},
		{"an event", nil, event},
		{"two agents", nil, twoAgents},
		{"the description of a peer", nil, describes},
		{"the subscriptions in the description of a peer", []Feature{Subscriptions}, describesSubscriptions},
		{"a result that asks for input", []Feature{Pending}, pending},
	}
}

type city struct {
	Name string `json:"name" jsonschema:"the city's name"`
	Days int    `json:"days,omitempty"`
}

type forecast struct {
	City  string    `json:"city"`
	Highs []float64 `json:"highs"`
	Rain  *bool     `json:"rain"`
}

func forecastTool() agent.Tool {
	return agent.NewTool("forecast", "Forecast the weather.", func(_ context.Context, c city) (forecast, error) {
		return forecast{City: c.Name, Highs: make([]float64, c.Days)}, nil
	}, agent.ReadOnly(), agent.OpenWorld(false), agent.Title("Forecast"))
}

func typedTool(b *bench) {
	b.tools(forecastTool())
	got, err := agent.Ask[forecast](b.ctx(), "callee.forecast", city{Name: "Bern", Days: 2})
	if err != nil || got.City != "Bern" || len(got.Highs) != 2 || got.Rain != nil {
		b.Errorf("Ask gave %+v, %v", got, err)
	}
}

func rawTool(b *bench) {
	b.tools(raw("see", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		if c.Op != agent.OpTool || c.Agent != "callee" || c.Name != "see" || c.ID == "" {
			return nil, agent.Errorf(agent.CodeInternal, "the call arrived as %+v", c)
		}
		return &agent.Result{Structured: c.Input, Content: []agent.Content{agent.Text("seen")},
			Meta: map[string]json.RawMessage{"note": json.RawMessage(`{"a":[1]}`)}}, nil
	}))
	in := json.RawMessage(`{"a":{"b":[1,2.50,12345678901234567890,null,true,"x"]}}`)
	res := b.ask("see", in)
	if !sameJSON(res.Structured, in) || len(res.Content) != 1 || res.Content[0].Text != "seen" ||
		!sameJSON(res.Meta["note"], []byte(`{"a":[1]}`)) {
		b.Errorf("the result is %s, %+v, %s", res.Structured, res.Content, res.Meta)
	}
}

func toolWithoutInput(b *bench) {
	b.tools(agent.NewTool("now", "", func(context.Context, struct{}) (string, error) { return "noon", nil }))
	if got := b.ask("now", nil).Text(); got != "noon" {
		b.Errorf("the tool said %q", got)
	}
}

type ask struct {
	Topic string `json:"topic" jsonschema:"what it is about"`
	Tone  string `json:"tone,omitempty"`
}

func askPrompt() agent.Prompt {
	return agent.NewPrompt("ask", "Asks about a topic.", func(_ context.Context, a ask) (*agent.PromptResult, error) {
		return &agent.PromptResult{Description: "d", Messages: []agent.Message{agent.UserText("About " + a.Topic),
			{Role: agent.RoleAssistant, Content: agent.Image([]byte{0, 1, 255}, "image/png")}}}, nil
	}, agent.Completes("topic", completeWords))
}

func completeWords(_ context.Context, prefix string, others map[string]string) ([]string, error) {
	all := []string{"rain", "rainbow", "sun", others["tone"]}
	return slices.DeleteFunc(all, func(s string) bool { return !strings.HasPrefix(s, prefix) }), nil
}

func prompt(b *bench) {
	b.serve("callee", agent.Capabilities{Prompts: []agent.Prompt{askPrompt()}})
	got, err := agent.GetPrompt(b.ctx(), "callee.ask", map[string]string{"topic": "rain"})
	if err != nil {
		b.Fatal(err)
	}
	if got.Description != "d" || len(got.Messages) != 2 || got.Messages[0].Content.Text != "About rain" ||
		got.Messages[0].Role != agent.RoleUser ||
		string(got.Messages[1].Content.Data) != "\x00\x01\xff" || got.Messages[1].Role != agent.RoleAssistant {
		b.Errorf("the prompt is %+v", got)
	}
	_, err = agent.GetPrompt(b.ctx(), "callee.ask", nil)
	b.want(b.failed(nil, err), true, agent.CodeInvalidArgument)
}

func resources() []agent.Resource {
	return []agent.Resource{
		agent.NewResource("test://latest", "latest", "The latest.", "text/markdown",
			func(context.Context) (string, error) {
				return "# Ä\n", nil
			}),
		agent.NewResourceFunc("test://{kind}/file/{+path}", "file", "Any file.", "application/octet-stream",
			func(_ context.Context, uri string, v map[string]string) ([]agent.ResourceContents, error) {
				if v["kind"] == "none" {
					return nil, agent.NotFound(uri)
				}
				return []agent.ResourceContents{{Blob: []byte(v["kind"] + "|" + v["path"] + "\x00\xff")},
					{URI: "test://second", MIMEType: "text/plain", Text: ""}}, nil
			}, agent.CompletesVariable("kind", completeWords)),
	}
}

func resource(b *bench) {
	b.serve("callee", agent.Capabilities{Resources: resources()})
	got, err := agent.ReadResource(b.ctx(), "callee", "test://latest")
	if err != nil || len(got) != 1 || got[0].Text != "# Ä\n" || got[0].MIMEType != "text/markdown" ||
		got[0].URI != "test://latest" {
		b.Errorf("the resource is %+v, %v", got, err)
	}
	_, err = agent.ReadResource(b.ctx(), "callee", "test://oldest")
	b.want(b.failed(nil, err), true, agent.CodeNotFound)
}

func resourceTemplate(b *bench) {
	b.serve("callee", agent.Capabilities{Resources: resources()})
	uri := "test://a%20b/file/c/d.txt"
	got, err := agent.ReadResource(b.ctx(), "callee", uri)
	if err != nil || len(got) != 2 {
		b.Fatalf("the resource is %+v, %v", got, err)
	}
	if string(got[0].Blob) != "a b|c/d.txt\x00\xff" || got[0].URI != uri ||
		got[0].MIMEType != "application/octet-stream" || got[0].Text != "" {
		b.Errorf("the first content is %+v", got[0])
	}
	if got[1].URI != "test://second" || got[1].MIMEType != "text/plain" || got[1].Blob != nil {
		b.Errorf("the second content is %+v", got[1])
	}
	_, err = agent.ReadResource(b.ctx(), "callee", "test://none/file/x")
	b.want(b.failed(nil, err), false, agent.CodeNotFound)
}

func completion(b *bench) {
	b.serve("callee", agent.Capabilities{Prompts: []agent.Prompt{askPrompt()}, Resources: resources()})
	for ref, argument := range map[string]string{"ask": "topic", "test://{kind}/file/{+path}": "kind"} {
		got, err := agent.Complete(b.ctx(), "callee", ref,
			agent.CompleteRequest{Argument: argument, Value: "ra", Others: map[string]string{"tone": "rage"}})
		if err != nil || !slices.Equal(got.Values, []string{"rain", "rainbow", "rage"}) || got.HasMore {
			b.Errorf("complete %s: %+v, %v", ref, got, err)
		}
	}
}

// An event is delivered as a call: publishing and fan-out are the business of whoever holds the
// sessions.
func event(b *bench) {
	type found struct{ Path string }
	got := make(chan string, 1)
	b.serve("callee", agent.Capabilities{Subscriptions: []agent.Subscription{agent.On("file.found",
		func(ctx context.Context, f found) error {
			c := agent.CallFrom(ctx)
			got <- strings.Join([]string{f.Path, c.ID, c.From.Agent}, " ")
			return nil
		})}})
	p, err := b.dir.peer(b.short(), "callee")
	if err != nil {
		b.Fatal(err)
	}
	c := &agent.Call{ID: "e1", Op: agent.OpEvent, Agent: "callee", Name: "file.found",
		Input: json.RawMessage(`{"Path":"a/b.go"}`), From: agent.Identity{Agent: me, Trusted: true}, Attempt: 2}
	if _, err := p.Call(b.short(), c); err != nil {
		b.Fatal(err)
	}
	if s := wait(b, got, "the event"); s != "a/b.go e1 "+me {
		b.Errorf("the handler saw %q", s)
	}
	res, err := p.Call(b.short(), &agent.Call{ID: "e2", Op: agent.OpEvent, Agent: "callee", Name: "file.lost",
		Input: json.RawMessage(`1`), From: agent.Identity{Agent: me, Trusted: true}, Attempt: 1})
	b.want(b.failed(res, err), true, agent.CodeNotFound)
}

func twoAgents(b *bench) {
	for _, name := range []string{"callee", "other"} {
		b.serve(name, agent.Capabilities{Tools: []agent.Tool{agent.NewTool("who", "",
			func(context.Context, struct{}) (string, error) {
				return name, nil
			})}})
	}
	for _, name := range []string{"other", "callee", "other"} {
		if got, err := agent.Ask[string](b.ctx(), name+".who", nil); err != nil || got != name {
			b.Errorf("%s answered %q, %v", name, got, err)
		}
	}
}

func describes(b *bench) {
	caps := agent.Capabilities{Description: "Knows the weather.", Tools: []agent.Tool{forecastTool(), echo()},
		Prompts: []agent.Prompt{askPrompt()}, Resources: resources()}
	b.serve("callee", caps)
	p, err := b.dir.peer(b.short(), "callee")
	if err != nil {
		b.Fatal(err)
	}
	info := p.Info()
	if info.Name != "callee" || info.Description != caps.Description {
		b.Errorf("the peer is %q: %q", info.Name, info.Description)
	}
	for _, tool := range caps.Tools {
		got, ok := info.Tool(tool.Info().Name)
		got.Raw = nil // as it was sent: there it may say more, in another order
		if !ok || !sameAsJSON(got, tool.Info()) {
			b.Errorf("the tool is described as %+v, want %+v", got, tool.Info())
		}
	}
	prompts := slices.Clone(info.Prompts)
	for i := range prompts {
		prompts[i].Raw = nil
	}
	if len(info.Tools) != 2 || len(prompts) != 1 || !sameAsJSON(prompts[0], caps.Prompts[0].Info()) {
		b.Errorf("the tools are %+v, the prompts %+v", info.Tools, info.Prompts)
	}
	for _, r := range caps.Resources {
		if !slices.ContainsFunc(info.Resources, func(i agent.ResourceInfo) bool {
			i.Raw = nil
			return sameAsJSON(i, r.Info())
		}) {
			b.Errorf("the resource %+v is missing in %+v", r.Info(), info.Resources)
		}
	}
}

func sameAsJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && sameJSON(x, y)
}

func describesSubscriptions(b *bench) {
	type file struct {
		Path string `json:"path"`
	}
	caps := agent.Capabilities{Subscriptions: []agent.Subscription{
		agent.On("file.found", func(context.Context, file) error { return nil }),
		agent.On("file.lost", func(context.Context, any) error { return nil })}}
	b.serve("callee", caps)
	p, err := b.dir.peer(b.short(), "callee")
	if err != nil {
		b.Fatal(err)
	}
	if got := p.Info().Subscriptions; !reflect.DeepEqual(got,
		[]agent.SubscriptionInfo{{Topic: "file.found", Fields: []string{"path"}}, {Topic: "file.lost"}}) {
		b.Errorf("the events are %+v", got)
	}
}

func pending(b *bench) {
	b.tools(raw("greet", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		if in, ok := c.Inputs["name"]; ok {
			return agent.TextResult(c.State + string(in)), nil
		}
		return &agent.Result{Pending: &agent.Pending{State: "s1 ", Requests: map[string]agent.Request{
			"name": {Kind: agent.AskElicit, Params: json.RawMessage(`{"message":"who?"}`)}}}}, nil
	}))
	res := b.ask("greet", nil)
	if res.Pending == nil || res.Pending.Requests["name"].Kind != agent.AskElicit ||
		!sameJSON(res.Pending.Requests["name"].Params, []byte(`{"message":"who?"}`)) {
		b.Fatalf("the result asks for nothing: %+v", res)
	}
	again := b.direct("greet")
	again.Inputs, again.State = map[string]json.RawMessage{"name": json.RawMessage(`{"n":1}`)}, res.Pending.State
	res, err := b.dir.Call(b.ctx(), again)
	if err != nil {
		b.Fatal(err)
	}
	if got := res.Text(); got != `s1 {"n":1}` {
		b.Errorf("the repeated call gave %q", got)
	}
}
