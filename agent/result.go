package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// A Result is what a call gave. It holds structured JSON, content blocks, both or neither; or a
// pending request for input. Whoever receives a Result must not change it.
type Result struct {
	// Structured is any JSON value, or empty.
	Structured json.RawMessage `json:"structured,omitempty"`
	// Content is what a person or a model reads. It is empty when a structured value says all.
	Content []Content `json:"content,omitempty"`
	// Pending, if set, means that the call is not over: it wants input, and is to be made again
	// with it.
	Pending *Pending `json:"pending,omitempty"`
	// Meta is metadata of the result, as MCP's _meta.
	Meta map[string]json.RawMessage `json:"meta,omitempty"`
	// Raw is the result as a foreign server sent it: that of tools/call, prompts/get or
	// resources/read, by the operation. It is empty for results of our own. The other fields hold
	// what they can of it, and it is what is passed on to MCP clients: whoever makes a changed copy
	// of a result clears it.
	Raw json.RawMessage `json:"-"`
}

// Pending is what a call wants before it can go on: each request by an id of the callee's choice,
// and a state that the callee gets back unread. The call is repeated with [Call.Inputs] and
// [Call.State].
type Pending struct {
	Requests map[string]Request `json:"requests"`
	State    string             `json:"state,omitempty"`
}

// TextResult is a result of one text block.
func TextResult(text string) *Result { return &Result{Content: []Content{Text(text)}} }

// JSONResult is a result with the structured value v.
func JSONResult(v any) (*Result, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a result of type %T: %w", v, err)
	}
	return &Result{Structured: b}, nil
}

// Text joins the text blocks of the result with newlines; without any, it is the structured value
// as JSON.
func (r *Result) Text() string {
	if !slices.ContainsFunc(r.Content, Content.isText) {
		return string(r.Structured)
	}
	return textOf(r.Content)
}

// Decode reads the result into out, which is a pointer: from the structured value, without the
// object that some servers wrap it in for MCP's sake; else from one text block, as JSON. A *string
// takes text as it is, also where the structured value is something else than a string; an *any
// takes text that is no JSON as a string. A *Result gets the result itself, a *json.RawMessage the
// structured value as it is, a *[]Content the blocks, a *Content the only one.
func (r *Result) Decode(out any) error {
	switch p := out.(type) {
	case *Result:
		*p = *r
		return nil
	case **Result:
		*p = r
		return nil
	case *json.RawMessage:
		if len(r.Structured) > 0 {
			*p = append((*p)[:0], r.Structured...)
			return nil
		}
	case *string:
		if len(r.Structured) == 0 || r.Structured[0] != '"' && slices.ContainsFunc(r.Content, Content.isText) {
			*p = r.Text()
			return nil
		}
	case *[]Content:
		*p = r.Content
		return nil
	case *Content:
		if len(r.Content) != 1 {
			return Errorf(CodeInternal, "the result has %d content blocks, not one", len(r.Content))
		}
		*p = r.Content[0]
		return nil
	}
	src := r.Structured
	if inner, ok := r.unwrapped(); ok {
		src = inner
	}
	if len(src) == 0 {
		texts := 0
		for _, c := range r.Content {
			if c.isText() {
				texts++
				src = json.RawMessage(c.Text)
			}
		}
		switch {
		case len(r.Content) == 0:
			return nil // nothing was said: the zero value of out
		case texts != 1:
			return Errorf(CodeInternal, "the result has no structured value and %d text blocks among %d: it does not "+
				"decode into %T", texts, len(r.Content), out)
		}
	}
	if p, ok := out.(*any); ok && len(r.Structured) == 0 && !json.Valid(src) {
		*p = string(src)
		return nil
	}
	if err := json.Unmarshal(src, out); err != nil {
		return Errorf(CodeInternal, "the result %.120q does not decode into %T: %w", src, out, err)
	}
	return nil
}

// toResult turns what a handler returned into a Result. Strings become one text block, never JSON
// in quotes.
func toResult(v any) (*Result, error) {
	switch v := v.(type) {
	case *Result:
		if v == nil {
			return &Result{}, nil
		}
		return v, nil
	case Result:
		return &v, nil
	case string:
		return TextResult(v), nil
	case Content:
		return &Result{Content: []Content{v}}, nil
	case []Content:
		return &Result{Content: v}, nil
	}
	return JSONResult(v)
}

var wrapper = []byte(`{"result":`)

// unwrapped is the value that a server wrapped in an object because MCP's structured content has to
// be one: the Python SDK gives {"result": value} for every tool whose result is no object, beside
// blocks that say the value alone. Text that is JSON itself is taken for what it says, as without
// structured content. ok is false for an object that means what it is.
func (r *Result) unwrapped() (value json.RawMessage, ok bool) {
	if !bytes.HasPrefix(r.Structured, wrapper) {
		return nil, false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(r.Structured, &members) != nil || len(members) != 1 {
		return nil, false
	}
	inner := members["result"]
	var list []json.RawMessage // empty for null
	switch isList := json.Unmarshal(inner, &list) == nil; {
	case len(r.Content) == 0:
		return inner, isList && len(list) == 0
	case len(r.Content) == 1 && r.Content[0].says(inner):
		if text := json.RawMessage(r.Content[0].Text); json.Valid(text) {
			return text, true
		}
		return inner, true
	case isList && len(list) == len(r.Content):
		for i, item := range list {
			if !r.Content[i].says(item) {
				return nil, false
			}
		}
		return inner, true
	}
	return nil, false
}

// says reports whether the block is the text for value: a string as it is, anything else as JSON.
func (c Content) says(value json.RawMessage) bool {
	if !c.isText() {
		return false
	}
	var s string
	if json.Unmarshal(value, &s) == nil && s == c.Text {
		return true
	}
	var a, b any
	return json.Unmarshal(value, &a) == nil && json.Unmarshal([]byte(c.Text), &b) == nil && reflect.DeepEqual(a, b)
}
