package codec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// What servers answer is read here, and not by the SDK, whose types lose what they do not know. It
// is kept as Raw, and changed only where no client could read it.

// DecodeToolResult reads the answer to tools/call, of which the result keeps slices: a result, or
// the error that an isError result stands for. What our own servers say beyond MCP counts only when
// the peer is trusted. The error is an *agent.Error.
func DecodeToolResult(raw json.RawMessage, trusted bool) (*agent.Result, error) {
	raw = readable(raw)
	if res, ok := scanToolResult(raw, trusted); ok {
		return res, nil
	}
	o, err := ReadObject(raw)
	if err != nil {
		return nil, notMCP(err)
	}
	return readToolResult(o, raw, trusted)
}

func readToolResult(o *Object, raw json.RawMessage, trusted bool) (_ *agent.Result, err error) {
	plain := !slices.ContainsFunc(o.Object, func(m jsonedit.Member) bool {
		return !slices.Contains(toolResultMembers, m.Key)
	})
	out := &agent.Result{}
	if out.Content, err = readContent(o); err != nil {
		return nil, notMCP(err)
	}
	meta := o.meta()
	switch v := o.Get("isError"); string(v) {
	case "", "false":
	case "true":
		return nil, readErrorResult(o, meta, out.Content, raw, trusted)
	case `"true"`:
		o.Set("isError", json.RawMessage("true"))
		return nil, readErrorResult(o, meta, out.Content, raw, trusted)
	default:
		o.Delete("isError")
	}
	if out.Pending, err = readPending(o); err != nil || out.Pending != nil {
		return out, err
	}
	out.Meta = foreignMeta(meta)
	if trusted {
		if done, err := readOurs(out, meta); done || err != nil {
			return out, err
		}
	}
	switch v := o.Get("structuredContent"); {
	case string(v) == "null":
		o.Delete("structuredContent")
	case v != nil:
		out.Structured = Compact(v)
	}
	if !trusted || !plain || slices.ContainsFunc(out.Content, hasRaw) {
		out.Raw = o.from(raw)
	}
	return out, nil
}

func hasRaw(c agent.Content) bool { return c.Raw != nil }

// toolResultMembers are those that the fields of a result hold.
var toolResultMembers = []string{"content", "structuredContent", "isError", "_meta", "resultType"}

// notMCP is the error for a result that nobody could read.
func notMCP(err error) *agent.Error {
	return agent.Errorf(agent.CodeInternal, "the server's result is none of MCP's: %w", err)
}

// readOurs reads what our own servers say in `_meta`. done: it is all that the result has.
func readOurs(out *agent.Result, meta *Object) (done bool, err error) {
	if v := meta.Get(metaPending); v != nil {
		out.Pending = &agent.Pending{}
		if err := json.Unmarshal(v, out.Pending); err != nil {
			return true, agent.Errorf(agent.CodeInternal, "the result wants input, but does not say which: %w", err)
		}
	}
	// Text is exact where a client of the SDK would lose the digits of large numbers.
	if string(meta.Get(metaGenerated)) == "true" && len(out.Content) == 1 &&
		json.Valid([]byte(out.Content[0].Text)) {
		out.Structured, out.Content = json.RawMessage(out.Content[0].Text), nil
		return true, nil
	}
	if text := meta.text(metaStructured); text != "" && json.Valid([]byte(text)) {
		out.Structured = json.RawMessage(text)
		return true, nil
	}
	return out.Pending != nil, nil
}

// foreignMeta is a result's metadata without what is ours to say; nil when nothing is left.
func foreignMeta(meta *Object) (out map[string]json.RawMessage) {
	for _, m := range meta.Object {
		if strings.HasPrefix(m.Key, MetaPrefix) {
			continue
		}
		if out == nil {
			out = map[string]json.RawMessage{}
		}
		out[m.Key] = m.Value
	}
	return out
}

// readErrorResult is [ToErrorResult] in the other direction. Without a code it is the tool that
// failed. Only a trusted peer's word on what did not run, and on what is logged, is taken.
func readErrorResult(o, meta *Object, content []agent.Content, raw json.RawMessage, trusted bool) *agent.Error {
	text := (&agent.Result{Content: content}).Text()
	code, structured := meta.text(MetaCode), o.Get("structuredContent")
	e := &agent.Error{Code: agent.CodeToolFailed, Message: text}
	if code != "" {
		e.Code = agent.ParseCode(code)
		e.Message = plainMessage(e.Code, text)
		e.NotExecuted = trusted && string(meta.Get(MetaNotExecuted)) == "true"
		e.Logged = trusted && string(meta.Get(metaLogged)) == "true"
		var wait int64
		if json.Unmarshal(meta.Get(MetaRetryAfter), &wait) == nil {
			e.RetryAfter = milliseconds(wait)
		}
		structured = meta.Get(metaDetails)
	}
	if structured != nil && string(structured) != "null" {
		e.Details = Compact(structured)
	}
	if code == "" || !trusted || len(content) != 1 || content[0].Type != agent.ContentText || hasRaw(content[0]) {
		e.Raw = o.from(raw)
	}
	return e
}

// ReadPromptResult reads the answer to prompts/get.
func ReadPromptResult(raw json.RawMessage) (*agent.Result, error) {
	raw = readable(raw)
	o, res, err := readOther(raw)
	if err != nil || res.Pending != nil {
		return res, err
	}
	p := agent.PromptResult{Description: o.text("description"), Messages: []agent.Message{}}
	if err := o.mendItems("messages", func(m *Object) error {
		block, c := readBlock(m.Get("content"))
		if block != nil {
			m.Set("content", block)
		}
		role := m.text("role")
		if role != agent.RoleUser && role != agent.RoleAssistant {
			role = agent.RoleUser
			m.Set("role", json.RawMessage(`"`+role+`"`))
		}
		p.Messages = append(p.Messages, agent.Message{Role: role, Content: c})
		return nil
	}); err != nil {
		return nil, err
	}
	return finish(o, raw, res, p)
}

// ReadResourceResult reads the answer to resources/read.
func ReadResourceResult(raw json.RawMessage) (*agent.Result, error) {
	raw = readable(raw)
	o, res, err := readOther(raw)
	if err != nil || res.Pending != nil {
		return res, err
	}
	if err := o.mendItems("contents", func(c *Object) error {
		if err := mendContents(c); err != nil {
			return err
		}
		var r agent.ResourceContents
		err := json.Unmarshal(c.Raw(), &r)
		res.Content = append(res.Content, agent.Embed(r))
		return err
	}); err != nil {
		return nil, err
	}
	res.Raw = o.from(raw)
	return res, nil
}

// ReadCompleteResult reads the answer to completion/complete.
func ReadCompleteResult(raw json.RawMessage) (*agent.Result, error) {
	raw = readable(raw)
	o, res, err := readOther(raw)
	if err != nil {
		return nil, err
	}
	var c agent.Completion
	if v := o.Get("completion"); v != nil {
		if err := json.Unmarshal(v, &c); err != nil {
			return nil, notMCP(err)
		}
	}
	return finish(o, raw, res, c)
}

// readOther reads what all results have in common: metadata, and what is wanted before there is
// one.
func readOther(raw json.RawMessage) (*Object, *agent.Result, error) {
	o, err := ReadObject(raw)
	if err != nil {
		return nil, nil, notMCP(err)
	}
	res := &agent.Result{Meta: foreignMeta(o.meta())}
	res.Pending, err = readPending(o)
	return o, res, err
}

// finish gives res, the reading of raw, the structured value v.
func finish(o *Object, raw json.RawMessage, res *agent.Result, v any) (*agent.Result, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "%w", err)
	}
	res.Structured, res.Raw = value, o.from(raw)
	return res, nil
}

// from is the object as it is now, which is raw if it was not changed.
func (o *Object) from(raw json.RawMessage) json.RawMessage {
	if o.Changed() {
		return o.Raw()
	}
	return raw
}

// meta is the `_meta` of what a server sent. In o, what only our own may say is taken out of it.
func (o *Object) meta() *Object {
	raw := o.Get("_meta")
	meta, err := ReadObject(raw)
	if err != nil {
		if raw != nil {
			o.Delete("_meta")
		}
		return &Object{}
	}
	kept := slices.DeleteFunc(slices.Clone(meta.Object), func(m jsonedit.Member) bool {
		return strings.HasPrefix(m.Key, MetaPrefix)
	})
	if meta.changed || len(kept) < len(meta.Object) {
		o.Set("_meta", kept.Raw())
	}
	return meta
}

// mendItems calls f for each object of a list, and writes what it changes.
func (o *Object) mendItems(name string, f func(*Object) error) error {
	raw := orEmptyList(o.Get(name))
	items, ok := jsonedit.ParseArray(raw)
	if !ok {
		return notMCP(fmt.Errorf("its %s are %s, not a list", name, kindOf(raw)))
	}
	changed := o.Get(name) == nil || kindOf(o.Get(name)) == "null"
	for i, item := range items {
		one, err := ReadObject(item)
		if err == nil {
			err = f(one)
		}
		if err != nil {
			return notMCP(fmt.Errorf("its %s, number %d: %w", name, i+1, err))
		}
		if one.Changed() {
			items[i], changed = one.Raw(), true
		}
	}
	if changed {
		o.Set(name, jsonedit.Array(items))
	}
	return nil
}

// readPending reads what a server wants before a call can go on; nil if that is nothing.
func readPending(o *Object) (*agent.Pending, error) {
	if o.text("resultType") != inputRequiredType {
		return nil, nil
	}
	p := &agent.Pending{State: o.text("requestState"), Requests: map[string]agent.Request{}}
	var asked map[string]askedInput
	if v := o.Get("inputRequests"); v != nil {
		if err := json.Unmarshal(v, &asked); err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "the input that the server wants: %w", err)
		}
	}
	for id, r := range asked {
		kind := ""
		for k, method := range askMethods {
			if method == r.Method {
				kind = k
			}
		}
		p.Requests[id] = agent.Request{Kind: kind, Params: r.Params}
	}
	return p, nil
}
