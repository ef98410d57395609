package agent_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

func TestNewHostReportsAllThatIsWrong(t *testing.T) {
	text := func(context.Context) (string, error) { return "", nil }
	_, err := agent.NewHost(agent.Env{Name: "Geo"}, agent.Capabilities{
		Tools:   []agent.Tool{{}, inputOf[string](), inputOf[city](), inputOf[city]()},
		Prompts: []agent.Prompt{{}},
		Resources: []agent.Resource{agent.NewResource("x", "x", "", "", text),
			agent.NewResource("f://x", "x", "", "", text), agent.NewResource("f://x", "y", "", "", text)},
		Subscriptions: []agent.Subscription{agent.On("T", func(context.Context, any) error { return nil })},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`agent "Geo"`, "no agent name", `tool "": a tool without a handler`,
		`tool "t": infer the input schema`, `tool "t" is declared twice`,
		"agent.NewPrompt", `"x" is no URI`, `resource "f://x" is declared twice`, `"T" is no topic`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s:\n%v", want, err)
		}
	}
}

func TestRequirements(t *testing.T) {
	for target, want := range map[string]string{"geo.locate": "geo/locate", "geo": "geo/",
		"docs.docs.search": "docs/docs.search"} {
		r := agent.Require(target)
		if got := r.Agent() + "/" + r.Tool(); got != want || r.String() != target || r.Err() != nil {
			t.Errorf("%s is %s, %v", target, got, r.Err())
		}
	}
	for _, bad := range []agent.Requirement{{}, agent.Require(""), agent.Require("Geo"), agent.Require(".locate"),
		agent.Require("geo.")} {
		_, err := agent.NewHost(agent.Env{Name: "a"}, agent.Capabilities{Requires: []agent.Requirement{bad}})
		if err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestHostDescribesItself(t *testing.T) {
	h, err := agent.NewHost(agent.Env{Name: "geo"},
		agent.Capabilities{Description: "d", Tools: []agent.Tool{inputOf[city]()},
			Prompts: []agent.Prompt{agent.NewPrompt("p", "",
				func(context.Context, struct{}) (*agent.PromptResult, error) { return nil, nil })},
			Resources: []agent.Resource{agent.NewResource("f://x", "x", "", "",
				func(context.Context) (string, error) { return "", nil })},
			Subscriptions: []agent.Subscription{agent.On("t", func(context.Context, any) error {
				return nil
			})}})
	if err != nil {
		t.Fatal(err)
	}
	info := h.Info()
	tool, ok := info.Tool("t")
	_, none := info.Tool("u")
	if info.Name != "geo" || info.Description != "d" || !ok || none || tool.Name != "t" ||
		len(info.Subscriptions) != 1 || len(info.Prompts) != 1 || info.Prompts[0].Name != "p" ||
		len(info.Resources) != 1 || info.Resources[0].URI != "f://x" ||
		h.Env().Name != "geo" {
		t.Errorf("the host is %+v", info)
	}
}

func TestHostRecoversPanics(t *testing.T) {
	var log bytes.Buffer
	env := agent.Env{Name: "geo", Logger: slog.New(slog.NewTextHandler(&log, nil))}
	h, err := agent.NewHost(env, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("panic", "", func(context.Context, struct{}) (string, error) {
			panic(errors.New("at the disco"))
		}),
		agent.NewTool("fine", "", func(context.Context, struct{}) (string, error) { return "fine", nil }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Call(t.Context(), &agent.Call{ID: "c1", Op: agent.OpTool, Agent: "geo", Name: "panic"})
	wantCode(t, err, agent.CodeInternal, false)
	if res != nil || !agent.AsError(err).Logged || !strings.Contains(err.Error(), "geo.panic panicked: at the disco") ||
		strings.Contains(err.Error(), "goroutine") {
		t.Errorf("%+v, %v", res, err)
	}
	for _, want := range []string{"at the disco", "host_test.go", "call=c1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log.String())
		}
	}
	quiet, err := agent.NewHost(agent.Env{Name: "geo"}, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("panic", "", func(context.Context, struct{}) (string, error) { panic("again") })}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := quiet.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "panic"}); agent.AsError(err).Logged {
		t.Errorf("logged without a log: %v", err)
	}
	if res, err := h.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "fine"}); err != nil ||
		res.Text() != "fine" {
		t.Errorf("the next call: %+v, %v", res, err)
	}
}

func TestHostRefuses(t *testing.T) {
	ctx := tools(t, inputOf[struct{}]())
	for _, c := range []agent.Call{{Op: agent.OpTool, Name: "x"}, {Op: agent.OpPrompt, Name: "t"},
		{Op: agent.OpResource, Name: "t"}, {Op: agent.OpComplete, Name: "t"}, {Op: agent.OpEvent, Name: "t"}} {
		c.Agent = "callee"
		_, err := agent.Do(ctx, c, nil)
		wantCode(t, err, agent.CodeNotFound, true)
	}
	meant := one(t, agent.Capabilities{
		Tools: []agent.Tool{agent.RawTool("search", "", nil, agent.CallerFunc(nil))},
		Prompts: []agent.Prompt{agent.NewPrompt("greet", "",
			func(context.Context, struct{}) (*agent.PromptResult, error) { return nil, nil })}})
	for op, name := range map[agent.Op]string{agent.OpTool: "search", agent.OpPrompt: "greet"} {
		_, err := agent.Do(meant, agent.Call{Op: op, Agent: "callee", Name: name[1:]}, nil)
		if want := `did you mean "` + name + `"?`; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s %s: %v, want %s", op, name[1:], err, want)
		}
	}
	_, err := agent.Do(ctx, agent.Call{Op: "dance", Agent: "callee", Name: "t"}, nil)
	wantCode(t, err, agent.CodeUnimplemented, true)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = agent.CallTool(ended, "callee.t", nil)
	wantCode(t, err, agent.CodeCanceled, true)
}

// What a handler's error becomes.
func TestHandlerErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		code agent.Code
		text string
	}{
		"a plain error": {errors.New("x"), agent.CodeToolFailed, "tool_failed: x"},
		"an Error":      {agent.Errorf(agent.CodeNotFound, "x"), agent.CodeNotFound, "not_found: x"},
		"an Error of a call that was not executed": {agent.Refusedf(agent.CodeUnavailable, "x"), agent.CodeUnavailable,
			"unavailable: x"},
		"a Code": {agent.CodePermissionDenied, agent.CodePermissionDenied,
			"permission_denied: permission_denied"},
		"a context error of something else": {context.DeadlineExceeded, agent.CodeToolFailed, "tool_failed: context " +
			"deadline exceeded"},
	} {
		ctx := tools(t, agent.NewTool("fail", "", func(context.Context, struct{}) (string, error) {
			return "", tt.err
		}))
		_, err := agent.CallTool(ctx, "callee.fail", nil)
		wantCode(t, err, tt.code, false)
		if err == nil || err.Error() != tt.text || !errors.Is(err, tt.err) {
			t.Errorf("%s became %v", name, err)
		}
	}
	began := make(chan struct{})
	ctx, cancel := context.WithCancel(
		tools(t, agent.NewTool("wait", "", func(ctx context.Context, _ struct{}) (string, error) {
			close(began)
			<-ctx.Done()
			return "", ctx.Err()
		})))
	go func() { <-began; cancel() }()
	_, err := agent.CallTool(ctx, "callee.wait", nil)
	wantCode(t, err, agent.CodeCanceled, false)
}
