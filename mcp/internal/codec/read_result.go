package codec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// What servers answer is read here, and not by the SDK, whose types lose what they do not know. It
// is kept as Raw, and changed only where no client could read it.

// DecodeToolResult reads the answer to tools/call, of which the result keeps slices: a result, or
// the error that an isError result stands for. What our own servers say beyond MCP counts only when
// the peer is trusted. The error is an *agent.Error.
func DecodeToolResult(raw json.RawMessage, trusted bool) (*agent.Result, error) {
	raw = Readable(raw)
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
// failed. Only a trusted peer's word on its code, and on all else beyond MCP, is taken.
func readErrorResult(o, meta *Object, content []agent.Content, raw json.RawMessage, trusted bool) *agent.Error {
	text := (&agent.Result{Content: content}).Text()
	code, structured := meta.text(MetaCode), o.Get("structuredContent")
	e := &agent.Error{Code: agent.CodeToolFailed, Message: text, Trace: traceParent(meta.text(wire.TraceParent))}
	if code != "" && trusted {
		e.Code = agent.ParseCode(code)
		e.Message = plainMessage(e.Code, text)
		e.NotExecuted = string(meta.Get(MetaNotExecuted)) == "true"
		e.Logged = string(meta.Get(metaLogged)) == "true"
		e.RPC = meta.Get(metaRPC)
		var wait int64
		if json.Unmarshal(meta.Get(MetaRetryAfter), &wait) == nil {
			e.RetryAfter = milliseconds(wait)
		}
		structured = meta.Get(metaDetails)
	}
	if structured != nil && string(structured) != "null" {
		e.Details = Compact(structured)
		if e.Message == "" && (code == "" || !trusted) {
			e.Message = shortText(e.Details)
		}
	}
	if code == "" || !trusted || len(content) != 1 || content[0].Type != agent.ContentText || hasRaw(content[0]) {
		e.Raw = o.from(raw)
	}
	return e
}

// maxErrorText bounds what structured content says in place of a text.
const maxErrorText = 500

// shortText is JSON as the text of an error.
func shortText(raw json.RawMessage) string {
	if len(raw) <= maxErrorText {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw[:maxErrorText]), "") + "…"
}

// ReadPromptResult reads the answer to prompts/get. odd is told of what is left out.
func ReadPromptResult(raw json.RawMessage, odd func(string)) (*agent.Result, error) {
	raw = Readable(raw)
	o, res, err := readOther(raw)
	if err != nil || res.Pending != nil {
		return res, err
	}
	p := agent.PromptResult{Description: o.text("description"), Messages: []agent.Message{}}
	if err := o.mendItems("messages", odd, func(item json.RawMessage) (*Object, error) {
		m, err := ReadObject(item)
		if kindOf(item) == aString {
			m, err = &Object{}, nil
			m.Set("content", item)
		}
		if err != nil {
			return nil, err
		}
		block, c := readBlock(m.Get("content"))
		if block != nil {
			m.Set("content", block)
		}
		role := m.text("role")
		if !isRole(m.Get("role")) { // such as system, which MCP does not have
			if role != "" {
				odd(fmt.Sprintf("the role of a message is %.40q: it becomes %s", role, agent.RoleUser))
			}
			role = agent.RoleUser
			m.Set("role", json.RawMessage(`"`+role+`"`))
		}
		p.Messages = append(p.Messages, agent.Message{Role: role, Content: c})
		return m, nil
	}); err != nil {
		return nil, err
	}
	return finish(o, raw, res, p)
}

// ReadResourceResult reads the answer to resources/read for a URI, which contents without one have.
// odd is told of what is left out, or is not as MCP has it.
func ReadResourceResult(raw json.RawMessage, uri string, odd func(string)) (*agent.Result, error) {
	raw = Readable(raw)
	o, res, err := readOther(raw)
	if err != nil || res.Pending != nil {
		return res, err
	}
	if err := o.mendItems("contents", odd, func(item json.RawMessage) (*Object, error) {
		c, err := ReadObject(item)
		if kindOf(item) == aString {
			c, err = &Object{}, nil
			c.Set("text", item)
		}
		if err != nil {
			return nil, err
		}
		if v := c.Get("uri"); v == nil || kindOf(v) == "null" {
			odd("contents without a uri have that of the request")
			c.Set("uri", jsonedit.String(uri))
		}
		if k := kindOf(c.Get("text")); c.Get("text") != nil && k != aString && k != "null" {
			odd(fmt.Sprintf("the text of contents is %s: it becomes the text that it is written in", k))
		}
		if err := mendContents(c); err != nil {
			return nil, err
		}
		var r agent.ResourceContents
		if err := json.Unmarshal(c.Raw(), &r); err != nil {
			return nil, err
		}
		res.Content = append(res.Content, agent.Embed(r))
		return c, nil
	}); err != nil {
		return nil, err
	}
	res.Raw = o.from(raw)
	return res, nil
}

// maxCompletions is how many values a completion has at most, by the protocol.
const maxCompletions = 100

// ReadCompleteResult reads the answer to completion/complete.
func ReadCompleteResult(raw json.RawMessage) (*agent.Result, error) {
	raw = Readable(raw)
	o, res, err := readOther(raw)
	if err != nil {
		return nil, err
	}
	var loose struct {
		agent.Completion
		Total float64 `json:"total"` // may be out of an integer's range, or 1.0
	}
	if v := o.Get("completion"); v != nil {
		if err := json.Unmarshal(v, &loose); err != nil {
			return nil, notMCP(err)
		}
	}
	if len(loose.Values) > maxCompletions { // clients refuse it
		c, _ := jsonedit.ParseObject(o.Get("completion"))
		items, _ := jsonedit.ParseArray(c.Get("values"))
		c.Set("values", jsonedit.Array(items[:min(maxCompletions, len(items))]))
		c.Set("hasMore", json.RawMessage("true"))
		o.Set("completion", c.Raw())
		loose.Values, loose.HasMore = loose.Values[:maxCompletions], true
	}
	loose.Completion.Total = int(min(max(loose.Total, 0), math.MaxInt32))
	return finish(o, raw, res, loose.Completion)
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

// mendItems calls f for each item of a list, and writes what it changes. An item for which f fails
// is left out, and odd is told; the error is that of a list of which nothing is left.
func (o *Object) mendItems(name string, odd func(string), f func(json.RawMessage) (*Object, error)) error {
	raw := orEmptyList(o.Get(name))
	items, ok := jsonedit.ParseArray(raw)
	if !ok {
		return notMCP(fmt.Errorf("its %s are %s, not a list", name, kindOf(raw)))
	}
	changed := o.Get(name) == nil || kindOf(o.Get(name)) == "null"
	kept := make([]json.RawMessage, 0, len(items))
	var why error
	for i, item := range items {
		one, err := f(item)
		if err != nil {
			if kindOf(item) != anObject {
				err = fmt.Errorf("it is %s, not an object", kindOf(item))
			}
			why = cmp.Or(why, fmt.Errorf("its %s, number %d: %w", name, i+1, err))
			odd(fmt.Sprintf("left out of its %s: number %d: %v", name, i+1, err))
			changed = true
			continue
		}
		if one.Changed() {
			item, changed = one.Raw(), true
		}
		kept = append(kept, item)
	}
	if why != nil && len(kept) == 0 {
		return notMCP(why)
	}
	if changed {
		o.Set(name, jsonedit.Array(kept))
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
