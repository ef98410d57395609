package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// The definitions that servers list are read here one by one, and kept as Raw. An error says why
// one cannot be offered, in words that follow its name; odd is told, in such words, of members with
// values that clients do not know, which are taken out. It may be nil.

// ErrTask is for a tool that runs as a task only.
var ErrTask = errors.New("it runs as a task only (execution.taskSupport is required), and tasks are not supported")

// ReadTool reads a tool. A missing or empty input schema allows any object, as PHP's servers and
// others mean it.
func ReadTool(raw json.RawMessage, odd func(string)) (t agent.ToolInfo, err error) {
	o, err := readDefinition(raw, toolShape, odd)
	t.Name = o.text("name")
	if err == nil && t.Name == "" {
		err = errors.New("its name is empty")
	}
	if err != nil {
		return t, err
	}
	if t.InputSchema, err = inputSchema(o.Get("inputSchema")); err != nil {
		return t, err
	}
	if v := o.Get("outputSchema"); v != nil && kindOf(v) == anObject {
		t.OutputSchema = v
	}
	t.Title, t.Description = o.text("title"), o.text("description")
	if execution, err := ReadObject(o.Get("execution")); err == nil && execution.text("taskSupport") == "required" {
		return t, ErrTask
	}
	if a, err := ReadObject(o.Get("annotations")); err == nil {
		t.Annotations = &agent.Annotations{ReadOnly: a.is("readOnlyHint"), Idempotent: a.is("idempotentHint"),
			Destructive: a.flag("destructiveHint"), OpenWorld: a.flag("openWorldHint")}
	}
	t.Raw = Compact(o.Raw())
	return t, nil
}

// ReadPrompt reads a prompt.
func ReadPrompt(raw json.RawMessage, odd func(string)) (p agent.PromptInfo, err error) {
	o, err := readDefinition(raw, promptShape, odd)
	p.Name = o.text("name")
	if err == nil && p.Name == "" {
		err = errors.New("its name is empty")
	}
	if err != nil {
		return p, err
	}
	p.Title, p.Description = o.text("title"), o.text("description")
	args, ok := jsonedit.ParseArray(orEmptyList(o.Get("arguments")))
	if !ok {
		return p, err
	}
	for _, raw := range args {
		a, err := ReadObject(raw)
		if err != nil {
			return p, err
		}
		p.Arguments = append(p.Arguments, agent.PromptArgument{Name: a.text("name"), Title: a.text("title"),
			Description: a.text("description"), Required: a.is("required")})
	}
	p.Raw = Compact(o.Raw())
	return p, nil
}

// ReadResource reads a resource. One without a name has its URI for one.
func ReadResource(raw json.RawMessage, odd func(string)) (r agent.ResourceInfo, err error) {
	o, err := readDefinition(raw, resourceShape, odd)
	r.URI, r.Name = o.text("uri"), o.text("name")
	if err == nil {
		if u, bad := url.Parse(r.URI); bad != nil || u.Scheme == "" {
			err = fmt.Errorf("its uri is no URI: %.100q", r.URI)
		}
	}
	return readResource(o, r, err)
}

// ReadTemplate reads a template of resources. One without a name has the template for one.
func ReadTemplate(raw json.RawMessage, odd func(string)) (r agent.ResourceInfo, err error) {
	o, err := readDefinition(raw, templateShape, odd)
	r.Template, r.Name = o.text("uriTemplate"), o.text("name")
	if err == nil && r.Template == "" {
		err = errors.New("its uriTemplate is empty")
	}
	return readResource(o, r, err)
}

func readResource(o *Object, r agent.ResourceInfo, err error) (agent.ResourceInfo, error) {
	if err != nil {
		return r, err
	}
	if r.Name == "" {
		r.Name = r.Key()
	}
	r.Title, r.Description, r.MIMEType = o.text("title"), o.text("description"), o.text("mimeType")
	r.Raw = Compact(o.Raw())
	return r, nil
}

// readDefinition reads what all definitions have in common. The object is never nil.
func readDefinition(raw json.RawMessage, s shape, odd func(string)) (*Object, error) {
	if odd == nil {
		odd = untold
	}
	if depth := rawjson.Depth(raw); depth > maxDepth {
		return looseObject(raw), fmt.Errorf("it nests %d levels deep, over the limit of %d", depth, maxDepth)
	}
	if !rawjson.Valid(raw) {
		if err := json.Unmarshal(raw, new(any)); err != nil {
			return looseObject(raw), fmt.Errorf("it is no JSON: %w", err)
		}
	}
	o, err := ReadObject(Readable(raw))
	if err != nil {
		return &Object{}, fmt.Errorf("it is %s, not an object", kindOf(raw))
	}
	if err := s.fit(o, false, odd); err != nil {
		return o, err
	}
	for _, m := range o.Object {
		if m.Key == "inputSchema" || m.Key == "outputSchema" {
			continue // they are checked as schemas
		}
		if number := jsonedit.OutOfRange(m.Value); number != "" {
			return o, fmt.Errorf("in its %s the number %.40s is out of range", m.Key, number)
		}
	}
	o.meta()
	return o, nil
}

// maxDepth is how deep a definition may nest. Clients in Python refuse a whole message that nests
// 200 levels deep, with all that it lists.
const maxDepth = 128

// looseObject is what strings an object has that is no JSON: it has a name for people.
func looseObject(raw json.RawMessage) *Object {
	o := &Object{}
	parts, _ := rawjson.Parts(raw)
	for _, part := range parts {
		key, value := rawjson.Member(part)
		if name, ok := rawjson.Unquote(key); ok && kindOf(value) == aString && json.Valid(value) {
			o.Set(name, value)
		}
	}
	return o
}

// inputSchema is the schema of a tool's input. What a server leaves out, or writes as null, true or
// PHP's empty array, allows any object.
func inputSchema(raw json.RawMessage) (json.RawMessage, error) {
	switch {
	case raw == nil || string(raw) == "null" || string(raw) == "true" || string(Compact(raw)) == "[]":
		return json.RawMessage(`{"type":"object"}`), nil
	case kindOf(raw) != anObject:
		return nil, fmt.Errorf("its inputSchema is %s, not an object", kindOf(raw))
	}
	return raw, nil
}

// is reports whether a member is true.
func (o *Object) is(name string) bool { return string(o.Get(name)) == "true" }

// flag is a member that is a boolean; nil if there is none.
func (o *Object) flag(name string) *bool {
	v := o.Get(name)
	if v == nil {
		return nil
	}
	return new(string(v) == "true")
}

// A CursorError says why the next page of a list cannot be asked for.
type CursorError struct{ is kind }

// Error implements [error].
func (e *CursorError) Error() string {
	return fmt.Sprintf("its nextCursor is %s, not %s", e.is, aString)
}

// ReadPage reads a page of a list: its items as they stand, and the cursor of the next page. With a
// [*CursorError] the items are good.
func ReadPage(raw json.RawMessage, member string) (items []json.RawMessage, next string, err error) {
	o, err := ReadObject(raw)
	if err != nil {
		if items, next, ok := readOddPage(raw, member); ok {
			return items, next, nil
		}
		if kindOf(raw) == anObject {
			return nil, "", fmt.Errorf("the result cannot be read: %w", err)
		}
		return nil, "", fmt.Errorf("the result is %s, not an object", kindOf(raw))
	}
	list := orEmptyList(o.Get(member))
	if string(Compact(list)) != "{}" { // PHP's servers write an empty list so
		var ok bool
		if items, ok = jsonedit.ParseArray(list); !ok {
			return nil, "", fmt.Errorf("the result's %s are %s, not a list", member, kindOf(list))
		}
	}
	if is := kindOf(o.Get("nextCursor")); o.Get("nextCursor") != nil && is != aString && is != "null" {
		return items, "", &CursorError{is}
	}
	return items, o.text("nextCursor"), nil
}

// readOddPage is ReadPage for a result that is no JSON, or nests too deep: something in one of the
// items is wrong, most likely.
func readOddPage(raw json.RawMessage, member string) (items []json.RawMessage, next string, ok bool) {
	parts, _ := rawjson.Parts(raw)
	for _, part := range parts {
		key, value := rawjson.Member(part)
		switch name, _ := rawjson.Unquote(key); name {
		case member:
			list, closed := rawjson.Parts(value)
			if ok = closed && value[0] == '['; !ok {
				return nil, "", false
			}
			for _, item := range list {
				items = append(items, item)
			}
		case "nextCursor":
			next, _ = rawjson.Unquote(value)
		}
	}
	return items, next, ok
}

// HeaderTools makes of a list of tools one for the SDK's client: those of which it has to know that
// some arguments go in headers as well.
func HeaderTools(raw json.RawMessage) json.RawMessage {
	var tools []json.RawMessage
	items, _, _ := ReadPage(raw, "tools") // what is wrong is told to whoever asked
	for _, item := range items {
		if t, err := ReadTool(item, nil); err == nil && WantsHeaders(t.InputSchema) {
			if def, err := json.Marshal(t); err == nil {
				tools = append(tools, def)
			}
		}
	}
	o := Object{}
	o.Set("tools", jsonedit.Array(tools))
	return o.Raw()
}
