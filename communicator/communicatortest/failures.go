package communicatortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
)

// failures: errors cross alike, and are NotExecuted only where that is certain.
func failures() []test {
	return []test{
		{"every code, with all it carries", nil, everyCode},
		{"a plain error is tool_failed", nil, plainError},
		{"a tool cannot claim that it was not executed", nil, claimsNotExecuted},
		{"an error of a prompt, a resource, a completion and an event", nil, errorsOfOtherOps},
		{"an unknown agent", nil, unknownAgent},
		{"an unknown tool", nil, unknownTool},
		{"an unknown operation", nil, unknownOp},
		{"input that does not fit", nil, invalidInput},
		{"input that is no JSON", nil, brokenInput},
		{"a panic", nil, panics},
	}
}

func everyCode(b *bench) {
	b.tools(agent.NewTool("fail", "", func(_ context.Context, in map[string]string) (string, error) {
		e := agent.Errorf(agent.Code(in["code"]), "it was %s: 🐙\nsecond line", in["code"])
		e.RetryAfter, e.Details = 1500*time.Millisecond, json.RawMessage(`{"n":[1,"x"]}`)
		return "", e
	}), agent.NewTool("bare", "", func(_ context.Context, in map[string]string) (string, error) {
		return "", &agent.Error{Code: agent.Code(in["code"])}
	}))
	for _, code := range agent.Codes() {
		e := b.refuse("fail", map[string]string{"code": string(code)})
		b.want(e, false, code)
		if want := fmt.Sprintf("it was %s: 🐙\nsecond line", code); e.Message != want {
			b.Errorf("%s: the message is %q, want %q", code, e.Message, want)
		}
		if e.RetryAfter != 1500*time.Millisecond || !sameJSON(e.Details, []byte(`{"n":[1,"x"]}`)) {
			b.Errorf("%s: RetryAfter %v, Details %s", code, e.RetryAfter, e.Details)
		}
		if e := b.refuse("bare", map[string]string{"code": string(code)}); e.Code != code || e.Message != "" ||
			e.RetryAfter != 0 || len(e.Details) != 0 {
			b.Errorf("a bare %s arrived as %+v", code, e)
		}
	}
}

func plainError(b *bench) {
	b.tools(agent.NewTool("fail", "", func(context.Context, struct{}) (string, error) {
		return "", fmt.Errorf("read the map: %w", errors.New("torn"))
	}))
	e := b.refuse("fail", nil)
	b.want(e, false, agent.CodeToolFailed)
	if e.Message != "read the map: torn" {
		b.Errorf("the message is %q", e.Message)
	}
}

func claimsNotExecuted(b *bench) {
	b.tools(agent.NewTool("lie", "", func(context.Context, struct{}) (string, error) {
		return "", fmt.Errorf("nested: %w", agent.Refusedf(agent.CodeUnavailable, "somebody else"))
	}))
	b.want(b.refuse("lie", nil), false, agent.CodeUnavailable)
}

func errorsOfOtherOps(b *bench) {
	bad := agent.Errorf(agent.CodePermissionDenied, "not for you")
	b.serve("callee", agent.Capabilities{
		Prompts: []agent.Prompt{agent.NewPrompt("ask", "", func(context.Context, ask) (*agent.PromptResult, error) {
			return nil, bad
		},
			agent.Completes("topic", func(context.Context, string, map[string]string) ([]string, error) {
				return nil, bad
			}))},
		Resources: []agent.Resource{agent.NewResource("test://secret", "secret", "", "",
			func(context.Context) (string, error) {
				return "", bad
			})},
		Subscriptions: []agent.Subscription{agent.On("file.found", func(context.Context, any) error { return bad })},
	})
	for _, c := range []agent.Call{
		{Op: agent.OpPrompt, Name: "ask", Input: json.RawMessage(`{"topic":"x"}`)},
		{Op: agent.OpComplete, Name: "ask", Input: json.RawMessage(`{"argument":"topic","value":"x"}`)},
		{Op: agent.OpResource, Name: "test://secret"},
		{Op: agent.OpEvent, Name: "file.found", Input: json.RawMessage(`{}`)},
	} {
		c.Agent = "callee"
		e := b.failed(agent.Do(b.ctx(), c, c.Input))
		b.want(e, false, agent.CodePermissionDenied)
		if e.Message != "not for you" {
			b.Errorf("%s: the message is %q", c.Op, e.Message)
		}
	}
}

func unknownAgent(b *bench) {
	b.tools(echo())
	_, err := agent.CallTool(b.ctx(), "nobody.echo", nil)
	b.want(b.failed(nil, err), true, agent.CodeNotFound, agent.CodeUnavailable)
	b.alive()
}

func unknownTool(b *bench) {
	b.tools(echo())
	b.want(b.refuse("sing", nil), true, agent.CodeNotFound)
	_, err := agent.GetPrompt(b.ctx(), "callee.ask", nil)
	b.want(b.failed(nil, err), true, agent.CodeNotFound)
	b.alive()
}

func unknownOp(b *bench) {
	b.tools(echo())
	b.want(b.failed(agent.Do(b.ctx(), agent.Call{Op: "dance", Agent: "callee", Name: "echo"}, nil)), true,
		agent.CodeUnimplemented)
	b.alive()
}

func invalidInput(b *bench) {
	var ran ledger
	b.tools(echo(), agent.NewTool("forecast", "", func(ctx context.Context, c city) (string, error) {
		ran.add(agent.CallFrom(ctx))
		return c.Name, nil
	}))
	for _, in := range []string{`{}`, `{"name":7}`, `{"name":"x","town":"y"}`, `[1]`, `"x"`} {
		e := b.refuse("forecast", json.RawMessage(in))
		b.want(e, true, agent.CodeInvalidArgument)
		if e.Message == "" {
			b.Errorf("%s is refused without a message", in)
		}
	}
	if n, _ := ran.count(); n != 0 {
		b.Errorf("the tool ran %d times", n)
	}
	b.alive()
}

func brokenInput(b *bench) {
	b.tools(echo())
	for _, in := range []string{`{"a":`, `}`, "\x00", `{} {}`} {
		b.want(b.refuse("echo", json.RawMessage(in)), true, agent.CodeInvalidArgument)
	}
	b.alive()
}

func panics(b *bench) {
	b.serve("callee", agent.Capabilities{
		Tools: []agent.Tool{echo(), agent.NewTool("panic", "", func(context.Context, struct{}) (string, error) {
			panic("at the disco")
		})},
		Prompts: []agent.Prompt{agent.NewPrompt("panic", "",
			func(context.Context, struct{}) (*agent.PromptResult, error) {
				var m map[string]int
				m["x"] = 1 //nolint:staticcheck // the panic is the point
				return nil, nil
			})},
		Subscriptions: []agent.Subscription{agent.On("panic", func(context.Context, any) error {
			panic(errors.New("an event"))
		})},
	})
	for _, op := range []agent.Op{agent.OpTool, agent.OpPrompt, agent.OpEvent} {
		e := b.failed(agent.Do(b.ctx(), agent.Call{Op: op, Agent: "callee", Name: "panic"}, struct{}{}))
		b.want(e, false, agent.CodeInternal)
		if !strings.Contains(e.Message, "panic") || strings.Contains(e.Message, "goroutine") {
			b.Errorf("%s: the message is %q: want it to say panic, without the stack", op, e.Message)
		}
		b.alive()
	}
}
