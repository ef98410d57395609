package communicatortest

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
)

// backChannel: a running call can send notices and questions to its caller.
func backChannel() []test {
	return []test{
		{"progress, in order", nil, progress},
		{"progress goes to the call it is about", nil, progressOfTwo},
		{"log lines", nil, logLines},
		{"a part of the result before its end", nil, contentNotices},
		{"sampling", nil, sampling},
		{"sampling with tools", nil, samplingWithTools},
		{"elicitation: accept, decline, cancel", nil, elicitation},
		{"a page: accept, decline, cancel, and its end", nil, visits},
		{"a page that a nested call wants to be visited", nil, nestedVisits},
		{"a page, of a caller that knows forms", nil, formsOnly},
		{"roots", nil, roots},
		{"many questions of one call at once", nil, manyQuestions},
		{"an error of whoever is asked", nil, askedFails},
		{"a caller that offers nothing", nil, nothingOffered},
		{"a question passes through a nested call", nil, nestedQuestion},
		{"a question whose call is cancelled", nil, cancelledQuestion},
	}
}

func progress(b *bench) {
	const n = 20
	b.tools(agent.NewTool("work", "", func(ctx context.Context, _ struct{}) (string, error) {
		for i := range n {
			agent.Progress(ctx, float64(i+1)+0.5, n+1, "step 🐙")
		}
		return "done", nil
	}))
	var mu sync.Mutex
	var got []agent.ProgressNotice
	b.ask("work", nil, agent.OnProgress(func(p agent.ProgressNotice) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, p)
	}))
	b.eventually("every notice arrived", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= n
	})
	mu.Lock()
	defer mu.Unlock()
	for i, p := range got {
		if (p != agent.ProgressNotice{Progress: float64(i+1) + 0.5, Total: n + 1, Message: "step 🐙"}) {
			b.Fatalf("notice %d is %+v", i, p)
		}
	}
}

func progressOfTwo(b *bench) {
	b.tools(agent.NewTool("work", "", func(ctx context.Context, in map[string]string) (string, error) {
		agent.Progress(ctx, 1, 0, in["name"])
		return "done", nil
	}))
	var wg sync.WaitGroup
	seen := make([]chan string, 8)
	for i := range seen {
		seen[i] = make(chan string, 4)
		wg.Go(func() {
			name := string(rune('a' + i))
			_, err := agent.CallTool(b.ctx(), "callee.work", map[string]string{"name": name},
				agent.OnProgress(func(p agent.ProgressNotice) {
					seen[i] <- p.Message
				}))
			if err != nil {
				b.Errorf("call %s: %v", name, err)
			}
		})
	}
	wg.Wait()
	for i := range seen {
		if got := wait(b, seen[i], "progress"); got != string(rune('a'+i)) {
			b.Errorf("call %d got the progress of %s", i, got)
		}
	}
}

func logLines(b *bench) {
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	b.tools(agent.NewTool("work", "", func(ctx context.Context, _ struct{}) (string, error) {
		for i, l := range levels {
			agent.Log(ctx, l, map[string]any{"line": i})
		}
		agent.Log(ctx, slog.LevelInfo, "plain")
		return "done", nil
	}))
	lines := make(chan agent.LogNotice, 16)
	if _, err := agent.CallTool(b.with(agent.BackChannelFuncs{OnLog: func(l agent.LogNotice) {
		lines <- l
	}}), "callee.work", nil); err != nil {
		b.Fatal(err)
	}
	for i := range len(levels) + 1 {
		got := wait(b, lines, "a log line")
		want := agent.LogNotice{Level: slog.LevelInfo, Logger: "callee", Data: json.RawMessage(`"plain"`)}
		if i < len(levels) {
			want.Level, want.Data = levels[i], json.RawMessage(`{"line":`+string(rune('0'+i))+`}`)
		}
		if got.Level != want.Level || got.Logger != want.Logger || !sameJSON(got.Data, want.Data) {
			b.Errorf("line %d is %+v %s, want %+v %s", i, got, got.Data, want, want.Data)
		}
	}
}

func contentNotices(b *bench) {
	parts := [][]agent.Content{{agent.Text("one"), agent.Image([]byte{0, 255}, "image/png")}, {agent.Text("two")}}
	b.tools(raw("tell", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		for _, p := range parts {
			c.Back.Notify(ctx, agent.Notice{Content: p})
		}
		return agent.TextResult("done"), nil
	}))
	got := make(chan []agent.Content, len(parts))
	logs := make(chan agent.LogNotice, 1)
	h := agent.BackChannelFuncs{OnContent: func(p []agent.Content) {
		got <- p
	}, OnLog: func(l agent.LogNotice) { logs <- l }}
	if _, err := agent.CallTool(b.with(h), "callee.tell", nil); err != nil {
		b.Fatal(err)
	}
	for _, want := range parts {
		if p := wait(b, got, "a part of the result"); !sameAsJSON(p, want) {
			b.Errorf("it arrived as %+v, want %+v", p, want)
		}
	}
	if len(logs) > 0 {
		b.Errorf("a log line came too: %+v", <-logs)
	}
}

// A model that is given tools answers with a wish to use them, beside text.
func samplingWithTools(b *bench) {
	tool := agent.ToolInfo{Name: "add", Description: "Add.", InputSchema: json.RawMessage(`{"type":"object"}`)}
	use := agent.ToolUse{ID: "u1", Name: "add", Input: json.RawMessage(`{"a":1}`)}
	used := agent.ToolResult{UseID: "u1", Content: []agent.Content{agent.Text("2")}}
	asked := []agent.SampleMessage{agent.UserMessage(agent.Text("1 + 1?"), agent.Text("and 2 + 2?")),
		{Role: agent.RoleAssistant, Content: agent.Blocks{agent.UseTool(use)}}, agent.UserMessage(agent.UsedTool(used))}
	answer := agent.Blocks{agent.Text("two, and"), agent.UseTool(agent.ToolUse{ID: "u2", Name: "add",
		Input: json.RawMessage(`{"a":2}`)})}
	b.tools(agent.NewTool("think", "", func(ctx context.Context, _ struct{}) (bool, error) {
		got, err := agent.Sample(ctx, agent.SampleRequest{MaxTokens: 7, Messages: asked, Tools: []agent.ToolInfo{tool},
			ToolChoice: &agent.ToolChoice{Mode: agent.ToolsRequired}})
		return sameAsJSON(got.Content, answer) && got.StopReason == "toolUse", err
	}))
	h := agent.BackChannelFuncs{Sample: func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
		if !sameAsJSON(r.Messages, asked) || len(r.Tools) != 1 || !sameAsJSON(r.Tools[0], tool) ||
			r.ToolChoice == nil ||
			r.ToolChoice.Mode != agent.ToolsRequired {
			return agent.SampleResult{}, agent.Errorf(agent.CodeInvalidArgument, "asked %+v", r)
		}
		return agent.SampleResult{Role: agent.RoleAssistant, Model: "m", StopReason: "toolUse", Content: answer}, nil
	}}
	if same, err := agent.Ask[bool](b.with(h), "callee.think", nil); err != nil || !same {
		b.Errorf("the answer arrived as it was: %v, %v", same, err)
	}
}

func sampling(b *bench) {
	b.tools(agent.NewTool("think", "", func(ctx context.Context, _ struct{}) (*agent.Result, error) {
		got, err := agent.Sample(ctx, agent.SampleRequest{SystemPrompt: "be brief", MaxTokens: 7, Temperature: 0.5,
			StopSequences: []string{"."},
			Messages: []agent.SampleMessage{agent.UserMessage(agent.Text("ß?")),
				{Role: agent.RoleAssistant, Content: agent.Blocks{agent.Image([]byte{0, 255}, "image/png")}}}})
		if err != nil {
			return nil, err
		}
		return &agent.Result{Content: []agent.Content{agent.Text(got.Content.Text()),
			agent.Text(got.Role + " " + got.Model + " " + got.StopReason)}}, nil
	}))
	h := agent.BackChannelFuncs{Sample: func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
		if r.SystemPrompt != "be brief" || r.MaxTokens != 7 || r.Temperature != 0.5 ||
			!slices.Equal(r.StopSequences, []string{"."}) || len(r.Messages) != 2 ||
			r.Messages[0].Content.Text() != "ß?" || string(r.Messages[1].Content[0].Data) != "\x00\xff" {
			return agent.SampleResult{}, agent.Errorf(agent.CodeInvalidArgument, "asked %+v", r)
		}
		return agent.SampleResult{Role: agent.RoleAssistant, Model: "oracle", StopReason: "endTurn",
			Content: agent.Blocks{agent.Text("42")}}, nil
	}}
	res, err := agent.CallTool(b.with(h), "callee.think", nil)
	if err != nil || len(res.Content) != 2 || res.Text() != "42\nassistant oracle endTurn" {
		b.Errorf("the tool sampled %+v, %v", res, err)
	}
}

type approval struct {
	Yes  bool   `json:"yes" jsonschema:"go ahead"`
	Note string `json:"note,omitempty"`
}

func elicitTool() agent.Tool {
	return agent.NewTool("approve", "", func(ctx context.Context, _ struct{}) (approval, error) {
		return agent.Elicit[approval](ctx, "Go ahead?")
	})
}

func elicitation(b *bench) {
	b.tools(elicitTool())
	for action, code := range map[string]agent.Code{agent.ElicitAccept: "",
		agent.ElicitDecline: agent.CodePermissionDenied, agent.ElicitCancel: agent.CodeCanceled} {
		h := agent.BackChannelFuncs{Elicit: func(_ context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
			var schema struct{ Properties map[string]any }
			if err := json.Unmarshal(r.RequestedSchema, &schema); err != nil || r.Message != "Go ahead?" ||
				schema.Properties["yes"] == nil {
				return agent.ElicitResult{}, agent.Errorf(agent.CodeInvalidArgument, "asked %+v", r)
			}
			res := agent.ElicitResult{Action: action}
			if action == agent.ElicitAccept {
				res.Content = json.RawMessage(`{"yes":true,"note":"ß"}`)
			}
			return res, nil
		}}
		got, err := agent.Ask[approval](b.with(h), "callee.approve", nil)
		if agent.CodeOf(err) != code || code == "" && got != (approval{true, "ß"}) {
			b.Errorf("%s: %+v, %v", action, got, err)
		}
	}
}

func roots(b *bench) {
	b.tools(agent.NewTool("where", "", func(ctx context.Context, _ struct{}) (string, error) {
		r, err := agent.Roots(ctx)
		if err != nil || len(r) != 2 {
			return "", agent.Errorf(agent.CodeInternal, "roots %+v: %v", r, err)
		}
		return r[0].URI + " " + r[0].Name + " " + r[1].URI, nil
	}))
	h := agent.BackChannelFuncs{Roots: func(context.Context) ([]agent.Root, error) {
		return []agent.Root{{URI: "file:///a%20b", Name: "ab"}, {URI: "file:///c"}}, nil
	}}
	if got, err := agent.Ask[string](b.with(h), "callee.where", nil); err != nil ||
		got != "file:///a%20b ab file:///c" {
		b.Errorf("the tool saw %q, %v", got, err)
	}
}

func manyQuestions(b *bench) {
	b.tools(agent.NewTool("ask", "", func(ctx context.Context, _ struct{}) (int, error) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		right := 0
		for i := range 32 {
			wg.Go(func() {
				q := string(rune('A' + i))
				r, err := agent.Sample(ctx,
					agent.SampleRequest{MaxTokens: 1,
						Messages: []agent.SampleMessage{agent.UserMessage(agent.Text(q))}})
				mu.Lock()
				defer mu.Unlock()
				if err == nil && r.Content.Text() == q {
					right++
				}
			})
		}
		wg.Wait()
		return right, nil
	}))
	h := agent.BackChannelFuncs{Sample: func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
		return agent.SampleResult{Role: agent.RoleAssistant, Model: "m", Content: r.Messages[0].Content}, nil
	}}
	if got, err := agent.Ask[int](b.with(h), "callee.ask", nil); err != nil || got != 32 {
		b.Errorf("%d of 32 questions were answered rightly: %v", got, err)
	}
}

func askedFails(b *bench) {
	b.tools(elicitTool())
	h := agent.BackChannelFuncs{Elicit: func(context.Context, agent.ElicitRequest) (agent.ElicitResult, error) {
		return agent.ElicitResult{}, agent.Errorf(agent.CodeResourceExhausted, "too many questions")
	}}
	res, err := agent.CallTool(b.with(h), "callee.approve", nil)
	b.want(b.failed(res, err), false, agent.CodeResourceExhausted)
}

func nothingOffered(b *bench) {
	b.tools(echo(), elicitTool(), agent.NewTool("noisy", "", func(ctx context.Context, _ struct{}) (string, error) {
		agent.Progress(ctx, 1, 2, "nobody listens")
		agent.Log(ctx, slog.LevelError, "nobody listens")
		_, sample := agent.Sample(ctx, agent.SampleRequest{MaxTokens: 1})
		_, roots := agent.Roots(ctx)
		return string(agent.CodeOf(sample) + " " + agent.CodeOf(roots)), nil
	}))
	for name, ctx := range map[string]context.Context{"no back-channel": b.ctx(),
		"a back-channel without handlers": b.with(agent.BackChannelFuncs{})} {
		if got, err := agent.Ask[string](ctx, "callee.noisy", nil); err != nil || got != "unavailable unavailable" {
			b.Errorf("%s: %q, %v", name, got, err)
		}
		res, err := agent.CallTool(ctx, "callee.approve", nil)
		b.want(b.failed(res, err), false, agent.CodeUnavailable)
	}
	b.alive()
}

func nestedQuestion(b *bench) {
	b.serve("end", agent.Capabilities{Tools: []agent.Tool{elicitTool()}})
	b.tools(agent.NewTool("relay", "", func(ctx context.Context, _ struct{}) (approval, error) {
		return agent.Ask[approval](ctx, "end.approve", nil)
	}))
	h := agent.BackChannelFuncs{Elicit: func(context.Context, agent.ElicitRequest) (agent.ElicitResult, error) {
		return agent.ElicitResult{Action: agent.ElicitAccept, Content: json.RawMessage(`{"yes":true}`)}, nil
	}}
	if got, err := agent.Ask[approval](b.with(h), "callee.relay", nil); err != nil || !got.Yes {
		b.Errorf("the nested call got %+v, %v", got, err)
	}
}

// The user does not answer, and the caller stops waiting.
func cancelledQuestion(b *bench) {
	b.tools(echo(), elicitTool())
	asked, over := make(chan struct{}, 1), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(
		b.with(agent.BackChannelFuncs{Elicit: func(ctx context.Context, _ agent.ElicitRequest) (agent.ElicitResult,
			error) {
			asked <- struct{}{}
			<-ctx.Done()
			over <- struct{}{}
			return agent.ElicitResult{}, ctx.Err()
		}}))
	defer cancel()
	ch := b.start(ctx, "approve", nil)
	wait(b, asked, "the question")
	cancel()
	if a := wait(b, ch, "the cancelled call"); agent.CodeOf(a.err) != agent.CodeCanceled {
		b.Errorf("the call gave %v", a.err)
	}
	wait(b, over, "the question to be withdrawn")
	b.alive()
}
