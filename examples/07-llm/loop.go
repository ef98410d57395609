package main

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/openmas/openmas/agent"
)

// Question is what the assistant is asked.
type Question struct {
	Question string `json:"question" jsonschema:"what to find out or to do"`
}

// Assistant answers questions. A model says which tools of the other agents to call.
type Assistant struct {
	Model        Model    `json:"model"`
	Instructions string   `json:"instructions"`
	Agents       []string `json:"agents"` // whose tools the model may call; empty: all
	Budget       Budget   `json:"budget"`

	script *server // stands for the model where no base_url is given
}

// ask has the model call tools until it has the answer.
func (a *Assistant) ask(ctx context.Context, q Question) (string, error) {
	specs, known := a.tools(ctx)
	left, caller := a.Budget, &speech{ctx: ctx}
	messages := []message{{Role: "system", Content: a.Instructions}, {Role: "user", Content: q.Question}}
	for {
		if left.ModelCalls--; left.ModelCalls < 0 {
			return "", overBudget("model_calls", a.Budget.ModelCalls)
		}
		answer, err := a.Model.chat(ctx, messages, specs, left.Tokens, caller.say)
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
			result, err := use(ctx, known, c)
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

// A tool is one that the model may call.
type tool struct {
	target string
	hints  *agent.Annotations
}

// validName is what model servers take as the name of a tool.
var validName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// tools are those of the agents that run now, other than the assistant and the runtime, by the
// names that they have on the gateway.
func (a *Assistant) tools(ctx context.Context) (specs []toolSpec, known map[string]tool) {
	env, _ := agent.EnvFrom(ctx)
	known = map[string]tool{}
	for _, other := range env.Directory.Agents() {
		if other.Name == env.Name || other.Name == "openmas" ||
			len(a.Agents) > 0 && !slices.Contains(a.Agents, other.Name) {
			continue
		}
		for _, t := range other.Tools {
			if name := other.Name + "_" + t.Name; validName.MatchString(name) {
				known[name] = tool{other.Name + "." + t.Name, t.Annotations}
				specs = append(specs, newToolSpec(name, t.Description, t.InputSchema))
			}
		}
	}
	return specs, known
}

// use calls a tool as the model says. A tool that may destroy something needs approval.
func use(ctx context.Context, known map[string]tool, c toolCall) (string, error) {
	t, ok := known[c.Function.Name]
	if !ok {
		return "", agent.NotFound("the tool " + c.Function.Name)
	}
	args := json.RawMessage(c.Function.Arguments)
	if !isObject(args) {
		return "", agent.Errorf(agent.CodeInvalidArgument, "the arguments are no JSON object: %.200q", args)
	}
	// Where a tool does not say what it does, MCP has one expect the worst.
	if t.hints == nil || !t.hints.ReadOnly && (t.hints.Destructive == nil || *t.hints.Destructive) {
		if err := approve(ctx, t.target, args); err != nil {
			return "", err
		}
	}
	result, err := agent.CallTool(ctx, t.target, args)
	if err != nil {
		return "", err
	}
	return result.Text(), nil
}
