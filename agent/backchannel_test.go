package agent_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

// talk is a tool that notifies and asks its caller, then calls the next.
func talk(name, next string) agent.Tool {
	return agent.NewTool("talk", "", func(ctx context.Context, _ struct{}) (string, error) {
		agent.Progress(ctx, 1, 2, name)
		agent.Log(ctx, slog.LevelInfo, name)
		roots, err := agent.Roots(ctx)
		said := name + ":" + string(agent.CodeOf(err))
		if err == nil {
			said = name + ":" + roots[0].URI
		}
		if next == "" {
			return said, nil
		}
		below, err := agent.Ask[string](ctx, next, nil)
		return said + " " + below, err
	})
}

// Questions and log lines of the whole tree reach the first caller; progress is about one call and
// reaches who asked for it there.
func TestBackChannelOfNestedCalls(t *testing.T) {
	var heard []string
	all := agent.BackChannelFuncs{
		OnProgress: func(p agent.ProgressNotice) { heard = append(heard, "progress of "+p.Message) },
		OnLog:      func(l agent.LogNotice) { heard = append(heard, "log of "+l.Logger) },
		Roots:      func(context.Context) ([]agent.Root, error) { return []agent.Root{{URI: "file:///a"}}, nil },
	}
	watch := agent.OnProgress(func(p agent.ProgressNotice) { heard = append(heard, "watched "+p.Message) })
	ctx := system(t, map[string]agent.Capabilities{
		"a": {Tools: []agent.Tool{talk("a", "b.talk")}},
		"b": {Tools: []agent.Tool{talk("b", "")}},
	})
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		opts  []agent.CallOption
		heard []string
		said  string
	}{
		{"nothing offered", ctx, nil, nil, "a:unavailable b:unavailable"},
		{"progress watched", ctx, []agent.CallOption{watch}, []string{"watched a"}, "a:unavailable b:unavailable"},
		{"handlers", agent.WithBackChannel(ctx, all), nil, []string{"progress of a", "log of a", "log of b"},
			"a:file:///a b:file:///a"},
		{"handlers, progress watched", agent.WithBackChannel(ctx, all), []agent.CallOption{watch},
			[]string{"watched a", "progress of a", "log of a", "log of b"}, "a:file:///a b:file:///a"},
		{"watched twice", ctx, []agent.CallOption{watch, watch}, []string{"watched a", "watched a"},
			"a:unavailable b:unavailable"},
		{"watched by nobody", agent.WithBackChannel(ctx, all), []agent.CallOption{agent.OnProgress(nil)},
			[]string{"progress of a", "log of a", "log of b"}, "a:file:///a b:file:///a"},
		{"empty handlers", agent.WithBackChannel(ctx, agent.BackChannelFuncs{}), nil, nil,
			"a:unavailable b:unavailable"},
	} {
		heard = nil
		said, err := agent.Ask[string](tt.ctx, "a.talk", nil, tt.opts...)
		if err != nil || said != tt.said || !slices.Equal(heard, tt.heard) {
			t.Errorf("%s: said %q, heard %q, %v", tt.name, said, heard, err)
		}
	}
}

// The back-channel that a call is made with, of whatever type, is kept beside OnProgress.
func TestABackChannelOfTheCallsOwn(t *testing.T) {
	var heard []string
	ctx := system(t, map[string]agent.Capabilities{"a": {Tools: []agent.Tool{talk("a", "")}}})
	own := &recorder{BackChannel: answers(`{"roots":[{"uri":"file:///own"}]}`)}
	res, err := agent.Do(agent.WithBackChannel(ctx, agent.BackChannelFuncs{}),
		agent.Call{Op: agent.OpTool, Agent: "a", Name: "talk", Back: own}, nil,
		agent.OnProgress(func(p agent.ProgressNotice) { heard = append(heard, p.Message) }))
	if err != nil || res.Text() != "a:file:///own" || !slices.Equal(heard, []string{"a"}) || own.notices != 2 {
		t.Errorf("%v, %v, heard %q, and the call's own back-channel %d notices", res, err, heard, own.notices)
	}
}

// recorder counts the notices of a back-channel.
type recorder struct {
	agent.BackChannel
	notices int
}

func (r *recorder) Notify(context.Context, agent.Notice) { r.notices++ }

func TestHandlersAnswer(t *testing.T) {
	failing := agent.Errorf(agent.CodePermissionDenied, "no")
	h := agent.BackChannelFuncs{
		Sample: func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
			return agent.SampleResult{Role: agent.RoleAssistant, Model: r.SystemPrompt,
				Content: agent.Blocks{agent.Text("x")}}, nil
		},
		Elicit: func(context.Context, agent.ElicitRequest) (agent.ElicitResult, error) {
			return agent.ElicitResult{}, failing
		},
		Roots: func(context.Context) ([]agent.Root, error) { return nil, nil },
	}
	for _, tt := range []struct {
		kind, params, want string
		code               agent.Code
	}{
		{agent.AskSample, `{"systemPrompt":"m"}`,
			`{"role":"assistant","content":{"type":"text","text":"x"},"model":"m"}`, ""},
		{agent.AskSample, `{"messages":7}`, "", agent.CodeInvalidArgument},
		{agent.AskElicit, ``, "", agent.CodePermissionDenied},
		{agent.AskRoots, ``, `{"roots":[]}`, ""},
		{"dance", ``, "", agent.CodeUnavailable},
	} {
		got, err := h.Request(t.Context(), agent.Request{Kind: tt.kind, Params: json.RawMessage(tt.params)})
		if agent.CodeOf(err) != tt.code || string(got) != tt.want {
			t.Errorf("%s %s gave %s, %v", tt.kind, tt.params, got, err)
		}
	}
}

func TestElicit(t *testing.T) {
	type form struct {
		Yes  bool   `json:"yes"`
		Note string `json:"note,omitempty"`
	}
	tool := agent.NewTool("ask", "", func(ctx context.Context, _ struct{}) (form, error) {
		return agent.Elicit[form](ctx, "Sure?")
	})
	ctx := tools(t, tool, agent.NewTool("wrong", "", func(ctx context.Context, _ struct{}) (string, error) {
		return agent.Elicit[string](ctx, "Sure?")
	}))
	for _, tt := range []struct {
		answer string
		code   agent.Code
	}{
		{`{"action":"accept","content":{"yes":true,"note":"n"}}`, ""},
		{`{"action":"decline"}`, agent.CodePermissionDenied},
		{`{"action":"cancel"}`, agent.CodeCanceled},
		{`{}`, agent.CodeCanceled},
		{`{"action":"accept"}`, agent.CodeInvalidArgument},
		{`{"action":"accept","content":{"yes":"maybe"}}`, agent.CodeInvalidArgument},
		{`{"action":"accept","content":{"yes":true,"more":1}}`, agent.CodeInvalidArgument},
		{`[]`, agent.CodeInternal},
	} {
		got, err := agent.Ask[form](agent.WithBackChannel(ctx, answers(tt.answer)), "callee.ask", nil)
		if agent.CodeOf(err) != tt.code || tt.code == "" && got != (form{true, "n"}) {
			t.Errorf("%s gave %+v, %v", tt.answer, got, err)
		}
	}
	type small struct {
		N int `json:"n"`
	}
	huge := agent.WithBackChannel(t.Context(), answers(`{"action":"accept","content":{"n":1e30}}`))
	if got, err := agent.Elicit[small](huge, "How many?"); agent.CodeOf(err) != agent.CodeInvalidArgument {
		t.Errorf("a number that is too large became %v, %v", got, err)
	}
	_, err := agent.Ask[string](agent.WithBackChannel(ctx, answers(`{}`)), "callee.wrong", nil)
	wantCode(t, err, agent.CodeInternal, false)
	if err == nil || !strings.Contains(err.Error(), "struct or a map") {
		t.Errorf("the error is %v", err)
	}
}

// answers is a caller that gives one answer to everything.
type answers string

func (answers) Notify(context.Context, agent.Notice) {}
func (a answers) Request(context.Context, agent.Request) (json.RawMessage, error) {
	return json.RawMessage(a), nil
}

// Outside a call there is nobody to notify or ask, and no harm in trying.
func TestBackChannelOutsideACall(t *testing.T) {
	for name, ctx := range map[string]context.Context{"a bare context": t.Context(),
		"an agent's own context": agent.WithEnv(t.Context(), agent.Env{Name: "me"})} {
		agent.Progress(ctx, 1, 2, "")
		agent.Log(ctx, slog.LevelInfo, "")
		_, err := agent.Sample(ctx, agent.SampleRequest{})
		if agent.CodeOf(err) != agent.CodeUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	agent.Log(agent.WithBackChannel(t.Context(), answers("")), slog.LevelInfo, make(chan int))
	bad := agent.SampleRequest{Messages: []agent.SampleMessage{{Content: agent.Blocks{{Raw: json.RawMessage("{")}}}}}
	back := agent.WithBackChannel(t.Context(), answers("{}"))
	if got, err := agent.Sample(back, bad); agent.CodeOf(err) != agent.CodeInternal {
		t.Errorf("a question that does not encode is answered with %+v, %v", got, err)
	}
}

// A notice reaches the function for what it holds, and is dropped where there is none.
func TestNoticesReachTheirFunctions(t *testing.T) {
	notices := []agent.Notice{{Progress: &agent.ProgressNotice{Message: "half"}}, {Log: &agent.LogNotice{Logger: "a"}},
		{Content: []agent.Content{agent.Text("part")}}, {Content: []agent.Content{}}, {}}
	var heard []string
	for _, tt := range []struct {
		back agent.BackChannelFuncs
		want []string
	}{
		{agent.BackChannelFuncs{OnProgress: func(p agent.ProgressNotice) { heard = append(heard, p.Message) }},
			[]string{"half"}},
		{agent.BackChannelFuncs{OnLog: func(l agent.LogNotice) { heard = append(heard, l.Logger) }}, []string{"a"}},
		{agent.BackChannelFuncs{OnContent: func(c []agent.Content) { heard = append(heard, c[0].Text) }},
			[]string{"part"}},
		{agent.BackChannelFuncs{}, nil},
	} {
		heard = nil
		for _, n := range notices {
			tt.back.Notify(t.Context(), n)
		}
		if !slices.Equal(heard, tt.want) {
			t.Errorf("heard %v, want %v", heard, tt.want)
		}
	}
}

// A log notice that does not encode costs itself only, and the agent's own log has it.
func TestALogNoticeThatDoesNotEncode(t *testing.T) {
	var own strings.Builder
	var heard []string
	back := agent.BackChannelFuncs{OnLog: func(l agent.LogNotice) { heard = append(heard, string(l.Data)) }}
	ctx := agent.WithBackChannel(agent.WithEnv(t.Context(), agent.Env{Name: "a",
		Logger: slog.New(slog.NewTextHandler(&own, nil))}), back)
	agent.Log(ctx, slog.LevelInfo, func() {})
	agent.Log(ctx, slog.LevelInfo, "fine")
	if !slices.Equal(heard, []string{`"fine"`}) || !strings.Contains(own.String(), "a log notice does not encode") {
		t.Errorf("heard %v; the log says %q", heard, own.String())
	}
}
