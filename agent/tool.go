package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// A Tool is a function that an agent offers by name. Make one with [NewTool], or with [RawTool]
// where the types are not known at compile time. The zero Tool is not valid.
type Tool struct {
	info    ToolInfo
	handler Caller
	err     error
}

// A ToolOption refines a tool.
type ToolOption func(*toolBuild)

type toolBuild struct {
	info        ToolInfo
	middlewares []Middleware
}

func annotate(f func(*Annotations)) ToolOption {
	return func(b *toolBuild) {
		if b.info.Annotations == nil {
			b.info.Annotations = &Annotations{}
		}
		f(b.info.Annotations)
	}
}

// ReadOnly declares that the tool changes nothing.
func ReadOnly() ToolOption { return annotate(func(a *Annotations) { a.ReadOnly = true }) }

// Idempotent declares that repeating a call with equal arguments has no further effect.
func Idempotent() ToolOption { return annotate(func(a *Annotations) { a.Idempotent = true }) }

// Destructive declares whether the tool may destroy what exists.
func Destructive(yes bool) ToolOption { return annotate(func(a *Annotations) { a.Destructive = &yes }) }

// OpenWorld declares whether the tool deals with things outside the system.
func OpenWorld(yes bool) ToolOption { return annotate(func(a *Annotations) { a.OpenWorld = &yes }) }

// Title gives the tool a name for people.
func Title(title string) ToolOption { return func(b *toolBuild) { b.info.Title = title } }

// WithInputSchema replaces the inferred schema of the input, where inference cannot do (recursive
// types, unions, ranges). v is a JSON schema of type object: a json.RawMessage, or anything that
// encodes to one.
func WithInputSchema(v any) ToolOption {
	return func(b *toolBuild) { b.info.InputSchema = mustRaw(v) }
}

// WithOutputSchema replaces the inferred schema of the output.
func WithOutputSchema(v any) ToolOption {
	return func(b *toolBuild) { b.info.OutputSchema = mustRaw(v) }
}

// WithMiddleware wraps the tool; the first is the outermost. Middleware sees input that was
// validated.
func WithMiddleware(mw ...Middleware) ToolOption {
	return func(b *toolBuild) { b.middlewares = append(b.middlewares, mw...) }
}

// mustRaw encodes a schema given in Go; one that does not encode is reported when the tool is
// built, as a schema that does not parse.
func mustRaw(v any) json.RawMessage {
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(fmt.Sprintf("%v", err))
	}
	return b
}

// NewTool makes a tool from a typed function. In is a struct or a map with string keys
// (json.RawMessage or any take every object); its schema is inferred from `json` and `jsonschema`
// tags, and input that does not fit never reaches fn. Out is anything that encodes as JSON; a
// string becomes one text block; [Content], []Content and *[Result] are taken as they are.
//
// An error of fn that is or wraps an [*Error] keeps its code, a context error becomes
// deadline_exceeded or canceled, any other becomes tool_failed. fn is called concurrently.
//
// A schema that cannot be inferred or does not compile is kept in the Tool: [NewHost] reports it.
func NewTool[In, Out any](name, description string, fn func(context.Context, In) (Out, error),
	opts ...ToolOption) Tool {
	b := toolBuild{info: ToolInfo{Name: name, Description: description}}
	for _, o := range opts {
		o(&b)
	}
	errs := []error{CheckToolName(name)}
	if fn == nil {
		errs = append(errs, errors.New("the function is nil"))
	}
	var check func(json.RawMessage) error
	var err error
	if b.info.InputSchema == nil {
		in := inferInput(reflect.TypeFor[In]())
		b.info.InputSchema, check, err = in.schema, in.check, in.checkErr
		errs = append(errs, wrapErr("infer the input schema", in.err))
	} else {
		check, err = compileSchema(b.info.InputSchema)
	}
	errs = append(errs, wrapErr("input schema", err))
	if b.info.OutputSchema == nil {
		b.info.OutputSchema = inferOutput(reflect.TypeFor[Out]())
	}
	typed := CallerFunc(func(ctx context.Context, c *Call) (*Result, error) {
		var in In
		if err := json.Unmarshal(objectOr(c.Input), &in); err != nil {
			return nil, Refusedf(CodeInvalidArgument, "%s: the input does not decode: %w", c.Target(), err)
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, toolError(ctx, err)
		}
		res, err := toResult(out)
		if err != nil {
			return nil, Errorf(CodeInternal, "%s: %w", c.Target(), err)
		}
		return res, nil
	})
	return Tool{info: b.info, handler: checked(check, Chain(typed, b.middlewares...)), err: errors.Join(errs...)}
}

// RawTool makes a tool from a [Caller] and a schema, for agents whose tools are known only at run
// time. Input is checked against inputSchema (any object, when empty) before h sees it.
func RawTool(name, description string, inputSchema json.RawMessage, h Caller, opts ...ToolOption) Tool {
	b := toolBuild{info: ToolInfo{Name: name, Description: description, InputSchema: inputSchema}}
	for _, o := range opts {
		o(&b)
	}
	if len(b.info.InputSchema) == 0 {
		b.info.InputSchema = json.RawMessage(anyObject)
	}
	errs := []error{CheckToolName(name)}
	if h == nil {
		errs = append(errs, errors.New("the handler is nil"))
	}
	check, err := compileSchema(b.info.InputSchema)
	errs = append(errs, wrapErr("input schema", err))
	inner := CallerFunc(func(ctx context.Context, c *Call) (*Result, error) {
		res, err := h.Call(ctx, c)
		if err != nil {
			return nil, toolError(ctx, err)
		}
		return res, nil
	})
	return Tool{info: b.info, handler: checked(check, Chain(inner, b.middlewares...)), err: errors.Join(errs...)}
}

// Info describes the tool.
func (t Tool) Info() ToolInfo { return t.info }

// Err is what is wrong with the tool's definition; nil if nothing.
func (t Tool) Err() error {
	if t.handler == nil && t.err == nil {
		return errors.New("a tool without a handler: make it with agent.NewTool")
	}
	return t.err
}

// Call validates the input and runs the tool.
func (t Tool) Call(ctx context.Context, c *Call) (*Result, error) {
	if err := t.Err(); err != nil {
		return nil, Refusedf(CodeInternal, "tool %s: %w", t.info.Name, err)
	}
	return t.handler.Call(ctx, c)
}

// checked refuses input that does not fit the schema.
func checked(check func(json.RawMessage) error, next Caller) Caller {
	return CallerFunc(func(ctx context.Context, c *Call) (*Result, error) {
		if check != nil {
			if err := check(objectOr(c.Input)); err != nil {
				return nil, Refusedf(CodeInvalidArgument, "%s: %w", c.Target(), err)
			}
		}
		return next.Call(ctx, c)
	})
}
