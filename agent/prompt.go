package agent

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
)

// A Prompt is a template of messages that an agent offers by name.
type Prompt struct {
	info      PromptInfo
	handler   Caller
	completes map[string]CompleteFunc
	err       error
}

// The roles of a message.
const (
	RoleUser      = "user"
	RoleAssistant = "assistant"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string  `json:"role"`
	Content Content `json:"content"`
}

// UserText is a message of the user with one text block.
func UserText(text string) Message { return Message{Role: RoleUser, Content: Text(text)} }

// PromptResult is a prompt filled in; its JSON is that of MCP.
type PromptResult struct {
	Description string    `json:"description,omitempty"`
	Messages    []Message `json:"messages"`
}

// Prompt reads the answer to a call of [OpPrompt].
func (r *Result) Prompt() (*PromptResult, error) {
	var p PromptResult
	if err := json.Unmarshal(r.Structured, &p); err != nil {
		return nil, Errorf(CodeInternal, "the result is no prompt: %w", err)
	}
	return &p, nil
}

// A PromptOption refines a prompt.
type PromptOption func(*Prompt)

// PromptTitle gives the prompt a name for people.
func PromptTitle(title string) PromptOption { return func(p *Prompt) { p.info.Title = title } }

// Completes offers completions for one argument.
func Completes(argument string, fn CompleteFunc) PromptOption {
	return func(p *Prompt) {
		if p.completes == nil {
			p.completes = map[string]CompleteFunc{}
		}
		p.completes[argument] = fn
	}
}

// NewPrompt makes a prompt from a typed function. In is a struct whose fields are strings: each is
// an argument, described by its `jsonschema` tag and required unless its `json` tag has omitempty
// or omitzero. fn is called concurrently.
func NewPrompt[In any](name, description string, fn func(context.Context, In) (*PromptResult, error),
	opts ...PromptOption) Prompt {
	p := Prompt{info: PromptInfo{Name: name, Description: description}}
	args, err := promptArguments(reflect.TypeFor[In]())
	p.info.Arguments = args
	errs := []error{CheckToolName(name), wrapErr("arguments", err)}
	if fn == nil {
		errs = append(errs, errors.New("the function is nil"))
	}
	p.handler = CallerFunc(func(ctx context.Context, c *Call) (*Result, error) {
		var given map[string]string
		if err := json.Unmarshal(objectOr(c.Input), &given); err != nil {
			return nil, Refusedf(CodeInvalidArgument, "prompt %s: arguments are an object of strings: %w", c.Target(),
				err)
		}
		for _, a := range args {
			if _, ok := given[a.Name]; !ok && a.Required {
				return nil, Refusedf(CodeInvalidArgument, "prompt %s: argument %q is missing", c.Target(), a.Name)
			}
		}
		var in In
		if err := json.Unmarshal(objectOr(c.Input), &in); err != nil {
			return nil, Refusedf(CodeInvalidArgument, "prompt %s: the arguments do not decode: %w", c.Target(), err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, toolError(ctx, err)
		}
		if out == nil {
			out = &PromptResult{}
		}
		if out.Messages == nil {
			out.Messages = []Message{}
		}
		return JSONResult(out)
	})
	for _, o := range opts {
		o(&p)
	}
	p.err = errors.Join(errs...)
	return p
}

// Info describes the prompt.
func (p Prompt) Info() PromptInfo { return p.info }

// Err is what is wrong with the prompt's definition; nil if nothing.
func (p Prompt) Err() error {
	if p.handler == nil && p.err == nil {
		return errors.New("a prompt without a handler: make it with agent.NewPrompt")
	}
	return p.err
}

func promptArguments(t reflect.Type) ([]PromptArgument, error) {
	raw, err := inferSchema(t)
	if err != nil {
		return nil, err
	}
	var s struct {
		Properties map[string]struct {
			Type        any    `json:"type"`
			Description string `json:"description"`
		} `json:"properties"`
		Required []string `json:"required"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	required := map[string]bool{}
	for _, r := range s.Required {
		required[r] = true
	}
	var args []PromptArgument
	for name, p := range inFieldOrder(t, s.Properties) {
		if p.Type != "string" {
			return nil, Errorf(CodeInvalidArgument, "%q is a %v: the arguments of a prompt are strings", name, p.Type)
		}
		args = append(args, PromptArgument{Name: name, Description: p.Description, Required: required[name]})
	}
	return args, nil
}
