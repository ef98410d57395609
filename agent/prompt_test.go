package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
)

type tone struct {
	Tone string `json:"tone,omitempty" jsonschema:"how it sounds"`
}

type letter struct {
	To   string `json:"to" jsonschema:"who gets it"`
	From string `json:"from"`
	tone2
	tone
	Again string `json:"again,omitzero"`
}

type tone2 = struct{ About string }

func TestPromptArguments(t *testing.T) {
	p := agent.NewPrompt("write", "Write a letter.", func(context.Context, letter) (*agent.PromptResult, error) {
		return nil, nil
	}, agent.PromptTitle("Write"))
	want := agent.PromptInfo{Name: "write", Title: "Write", Description: "Write a letter.",
		Arguments: []agent.PromptArgument{
			{Name: "to", Description: "who gets it", Required: true},
			{Name: "from", Required: true},
			{Name: "About", Required: true},
			{Name: "tone", Description: "how it sounds"},
			{Name: "again"},
		}}
	if p.Err() != nil || !reflect.DeepEqual(p.Info(), want) {
		t.Errorf("the prompt is %+v, %v", p.Info(), p.Err())
	}
	byPointer := agent.NewPrompt("write", "Write a letter.",
		func(context.Context, *letter) (*agent.PromptResult, error) {
			return nil, nil
		}, agent.PromptTitle("Write"))
	if byPointer.Err() != nil || !reflect.DeepEqual(byPointer.Info(), want) {
		t.Errorf("for a pointer the prompt is %+v, %v", byPointer.Info(), byPointer.Err())
	}
	// What no field of Go is named like is an argument as well.
	block := agent.NewPrompt("b", "", func(context.Context, agent.Content) (*agent.PromptResult, error) {
		return nil, nil
	})
	if args := block.Info().Arguments; block.Err() != nil || len(args) != 1 || args[0].Name != "type" ||
		!args[0].Required {
		t.Errorf("the arguments of a block are %+v, %v", args, block.Err())
	}
	for name, p := range map[string]agent.Prompt{
		"are strings": agent.NewPrompt("p", "", func(context.Context, struct{ N int }) (*agent.PromptResult, error) {
			return nil, nil
		}),
		"struct or a map": agent.NewPrompt("p", "", func(context.Context, string) (*agent.PromptResult, error) {
			return nil, nil
		}),
		"tool name": agent.NewPrompt("P", "", func(context.Context, struct{}) (*agent.PromptResult, error) {
			return nil, nil
		}),
		"function is nil": agent.NewPrompt[struct{}]("p", "", nil),
		"NewPrompt":       {},
	} {
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, want one that says %s", err, name)
		}
	}
}

func TestGetPrompt(t *testing.T) {
	ctx := one(t, agent.Capabilities{Prompts: []agent.Prompt{
		agent.NewPrompt("write", "", func(_ context.Context, l letter) (*agent.PromptResult, error) {
			if l.To == "nobody" {
				return nil, errors.New("undeliverable")
			}
			return &agent.PromptResult{Messages: []agent.Message{agent.UserText(l.To + l.From + l.About)}}, nil
		}),
		agent.NewPrompt("silent", "", func(context.Context, struct{}) (*agent.PromptResult, error) { return nil, nil }),
	}})
	args := map[string]string{"to": "a", "from": "b", "About": "c"}
	if p, err := agent.GetPrompt(ctx, "callee.write", args); err != nil || len(p.Messages) != 1 ||
		p.Messages[0].Content.Text != "abc" {
		t.Errorf("the prompt is %+v, %v", p, err)
	}
	delete(args, "from")
	_, err := agent.GetPrompt(ctx, "callee.write", args)
	wantCode(t, err, agent.CodeInvalidArgument, true)
	if err == nil || !strings.Contains(err.Error(), `"from"`) {
		t.Errorf("the error names no argument: %v", err)
	}
	_, err = agent.GetPrompt(ctx, "callee.write", map[string]string{"to": "nobody", "from": "", "About": ""})
	wantCode(t, err, agent.CodeToolFailed, false)
	_, err = agent.Do(ctx, agent.Call{Op: agent.OpPrompt, Agent: "callee", Name: "write"}, map[string]int{"to": 1})
	wantCode(t, err, agent.CodeInvalidArgument, true)
	if p, err := agent.GetPrompt(ctx, "callee.silent", nil); err != nil || p.Messages == nil {
		t.Errorf("a silent prompt gives %+v, %v", p, err)
	}
	log := &callLog{}
	if _, err := agent.GetPrompt(agent.WithEnv(t.Context(), agent.Env{Directory: log}), "a.p", nil); err == nil ||
		len(log.calls) != 1 || string(log.calls[0].Input) != `{}` {
		t.Errorf("without arguments: %v, %+v", err, log.calls)
	}
	_, err = agent.GetPrompt(ctx, "write", nil)
	wantCode(t, err, agent.CodeInvalidArgument, true)
	when := one(t, agent.Capabilities{Prompts: []agent.Prompt{agent.NewPrompt("when", "",
		func(context.Context, struct{ At time.Time }) (*agent.PromptResult, error) { return nil, nil })}})
	_, err = agent.GetPrompt(when, "callee.when", map[string]string{"At": "soon"})
	wantCode(t, err, agent.CodeInvalidArgument, true)
	_, err = (&agent.Result{Structured: json.RawMessage(`[]`)}).Prompt()
	wantCode(t, err, agent.CodeInternal, false)
}

func TestCompletions(t *testing.T) {
	many := func(_ context.Context, prefix string, others map[string]string) ([]string, error) {
		switch prefix {
		case "fail":
			return nil, errors.New("no")
		case "none":
			return nil, nil
		case "all":
			return make([]string, 100), nil
		}
		all := make([]string, 150)
		for i := range all {
			all[i] = fmt.Sprint(prefix, others["x"], i)
		}
		return all, nil
	}
	ctx := one(t, agent.Capabilities{
		Prompts: []agent.Prompt{agent.NewPrompt("write", "",
			func(context.Context, letter) (*agent.PromptResult, error) {
				return nil, nil
			}, agent.Completes("to", many))},
		Resources: []agent.Resource{agent.NewResourceFunc("f://{a}", "f", "", "",
			func(context.Context, string, map[string]string) ([]agent.ResourceContents, error) {
				return nil, nil
			}, agent.CompletesVariable("a", many))},
	})
	for _, ref := range []struct{ name, argument string }{{"write", "to"}, {"f://{a}", "a"}} {
		got, err := agent.Complete(ctx, "callee", ref.name, agent.CompleteRequest{Argument: ref.argument, Value: "v",
			Others: map[string]string{"x": "-"}})
		if err != nil || len(got.Values) != 100 || got.Values[99] != "v-99" || got.Total != 150 || !got.HasMore {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
		for _, quiet := range []agent.CompleteRequest{{Argument: ref.argument, Value: "none"}, {Argument: "other"}} {
			if got, err := agent.Complete(ctx, "callee", ref.name, quiet); err != nil || got.Values == nil ||
				len(got.Values) != 0 || got.HasMore {
				t.Errorf("%+v: %+v, %v", quiet, got, err)
			}
		}
		if got, err := agent.Complete(ctx, "callee", ref.name, agent.CompleteRequest{Argument: ref.argument,
			Value: "all"}); err != nil || len(got.Values) != 100 || got.Total != 100 || got.HasMore {
			t.Errorf("as many as fit: %+v, %v", got, err)
		}
		_, err = agent.Complete(ctx, "callee", ref.name, agent.CompleteRequest{Argument: ref.argument, Value: "fail"})
		wantCode(t, err, agent.CodeToolFailed, false)
	}
	_, err := agent.Complete(ctx, "callee", "nothing", agent.CompleteRequest{})
	wantCode(t, err, agent.CodeNotFound, true)
	_, err = agent.Do(ctx, agent.Call{Op: agent.OpComplete, Agent: "callee", Name: "write"}, []int{})
	wantCode(t, err, agent.CodeInvalidArgument, true)
}
