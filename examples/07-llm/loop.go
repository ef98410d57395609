package main

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/openmas/openmas/agent"
)

// ask has the model call tools until it has the answer.
func (a *Assistant) ask(ctx context.Context, q Question) (string, error) {
	tools, left, caller := a.tools(ctx), a.Budget, &speech{ctx: ctx}
	messages := []message{{Role: "system", Content: a.Instructions}, {Role: "user", Content: q.Question}}
	for {
		if left.ModelCalls--; left.ModelCalls < 0 {
			return "", overBudget("model_calls", a.Budget.ModelCalls)
		}
		answer, err := a.Model.chat(ctx, messages, tools, left.Tokens, caller.say)
		if left.Tokens -= answer.tokens; left.Tokens < 0 {
			return "", overBudget("tokens", a.Budget.Tokens)
		}
		if err != nil {
			return "", err
		}
		caller.flush()
		if len(answer.ToolCalls) == 0 {
			return answer.Content, nil
		}
		messages = append(messages, answer.message)
		for _, c := range answer.ToolCalls {
			if left.ToolCalls--; left.ToolCalls < 0 {
				return "", overBudget("tool_calls", a.Budget.ToolCalls)
			}
			caller.line(cut("["+c.Function.Name+" "+c.Function.Arguments, maxShown) + "]")
			result, err := use(ctx, tools, c)
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			if err != nil {
				result = "error: " + err.Error() // the model may do something about it
			}
			messages = append(messages, message{Role: "tool", ToolCallID: c.ID, Content: cut(result, maxResult)})
		}
	}
}

// A tool is one that the model may call. Its name is that on the gateway.
type tool struct {
	name, target string
	info         agent.ToolInfo
}

// validName is what model servers take as the name of a tool.
var validName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// tools are those of the agents that run now, other than the assistant and the runtime.
func (a *Assistant) tools(ctx context.Context) (all []tool) {
	env, _ := agent.EnvFrom(ctx)
	for _, other := range env.Directory.Agents() {
		if other.Name == env.Name || other.Name == "openmas" ||
			len(a.Agents) > 0 && !slices.Contains(a.Agents, other.Name) {
			continue
		}
		for _, info := range other.Tools {
			if name := other.Name + "_" + info.Name; validName.MatchString(name) {
				all = append(all, tool{name, other.Name + "." + info.Name, info})
			}
		}
	}
	return all
}

// use calls a tool as the model says. A tool that may destroy something needs approval.
func use(ctx context.Context, tools []tool, c toolCall) (string, error) {
	i := slices.IndexFunc(tools, func(t tool) bool { return t.name == c.Function.Name })
	if i < 0 {
		return "", agent.NotFound("the tool " + c.Function.Name)
	}
	args := json.RawMessage(c.Function.Arguments)
	if !isObject(args) {
		return "", agent.Errorf(agent.CodeInvalidArgument, "the arguments are no JSON object: %.200q", args)
	}
	hints := tools[i].info.Annotations // where there are none, MCP has one expect the worst
	if hints == nil || !hints.ReadOnly && (hints.Destructive == nil || *hints.Destructive) {
		if err := approve(ctx, tools[i].target, args); err != nil {
			return "", err
		}
	}
	result, err := agent.CallTool(ctx, tools[i].target, args)
	if err != nil {
		return "", err
	}
	return result.Text(), nil
}

// Approval is the form that a person fills in.
type Approval struct {
	Approve bool `json:"approve" jsonschema:"whether the tool may be called"`
}

// approve asks the user of whoever asked the assistant. Where nobody can be asked, it is an error
// as well.
func approve(ctx context.Context, target string, args json.RawMessage) (err error) {
	ctx, end := approval(ctx, target)
	defer func() { end(err) }()
	if len(args) > maxApproved {
		return agent.Errorf(agent.CodePermissionDenied, "%d bytes of arguments are too many to approve of", len(args))
	}
	form, err := agent.Elicit[Approval](ctx, "May the assistant call "+target+" "+visible(args)+"?")
	if err == nil && !form.Approve {
		err = agent.Errorf(agent.CodePermissionDenied, "the user declined this call")
	}
	return err
}
