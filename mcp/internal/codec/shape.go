package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// A shape is what MCP says about the members of an object, as far as official clients check it: one
// member of the wrong type makes them refuse a whole list, or a whole result. Members that no shape
// names are anything.
type shape []field

type field struct {
	name string
	kind kind
	must bool
	of   shape // of an object, or of the objects in a list
}

// A kind is a type of JSON value, in words for people.
type kind string

const (
	aString    kind = "a string"
	aNumber    kind = "a number"
	anInt      kind = "a whole number"
	anID       kind = "a string or a number"
	aBoolean   kind = "a boolean"
	anObject   kind = "an object"
	strs       kind = "a list of strings"
	objects    kind = "a list of objects"
	strsByName kind = "an object of strings"

	// Of these, the values are limited. A value that is not known is no reason to refuse a whole
	// definition: the member is taken out.
	aTheme   kind = "light or dark"
	aSupport kind = "required, optional or forbidden"
	roles    kind = "a list of user and assistant"
	aShare   kind = "a number from 0 to 1"
	aTime    kind = "a time such as 2026-01-31T12:00:00Z"
)

// limited are the kinds of values that are limited: the kind of JSON value, and which are known.
var limited = map[kind]struct {
	kind  kind
	known func(json.RawMessage) bool
}{
	aTheme:   {aString, oneOf("light", "dark")},
	aSupport: {aString, oneOf("required", "optional", "forbidden")},
	roles: {strs, func(v json.RawMessage) bool {
		items, _ := jsonedit.ParseArray(v)
		return !slices.ContainsFunc(items, func(item json.RawMessage) bool { return !isRole(item) })
	}},
	aShare: {aNumber, func(v json.RawMessage) bool {
		n, err := strconv.ParseFloat(string(v), 64)
		return err == nil && n >= 0 && n <= 1
	}},
	aTime: {aString, func(v json.RawMessage) bool {
		text, _ := rawjson.Unquote(v)
		_, err := time.Parse(time.RFC3339, text)
		return err == nil
	}},
}

var isRole = oneOf(agent.RoleUser, agent.RoleAssistant)

func oneOf(known ...string) func(json.RawMessage) bool {
	return func(v json.RawMessage) bool {
		text, ok := rawjson.Unquote(v)
		return ok && slices.Contains(known, text)
	}
}

// A valueError is for a value of the right type that is none of those which are known.
type valueError struct{ text string }

func (e *valueError) Error() string { return e.text }

var iconsShape = shape{{name: "src", kind: aString, must: true}, {name: "mimeType", kind: aString},
	{name: "sizes", kind: strs}, {name: "theme", kind: aTheme}}

// common is in all definitions.
var common = shape{{name: "title", kind: aString}, {name: "description", kind: aString},
	{name: "icons", kind: objects, of: iconsShape}, {name: "_meta", kind: anObject}}

var audience = field{name: "annotations", kind: anObject, of: shape{{name: "audience", kind: roles},
	{name: "priority", kind: aShare}, {name: "lastModified", kind: aTime}}}

var (
	toolShape = append(shape{{name: "name", kind: aString, must: true},
		{name: "annotations", kind: anObject, of: shape{{name: "title", kind: aString},
			{name: "readOnlyHint", kind: aBoolean}, {name: "destructiveHint", kind: aBoolean},
			{name: "idempotentHint", kind: aBoolean}, {name: "openWorldHint", kind: aBoolean}}},
		{name: "execution", kind: anObject, of: shape{{name: "taskSupport", kind: aSupport}}}}, common...)
	promptShape = append(shape{{name: "name", kind: aString, must: true},
		{name: "arguments", kind: objects, of: shape{{name: "name", kind: aString, must: true},
			{name: "title", kind: aString}, {name: "description", kind: aString},
			{name: "required", kind: aBoolean}}}}, common...)
	resourceShape = append(shape{{name: "uri", kind: aString, must: true}, {name: "name", kind: aString},
		{name: "mimeType", kind: aString}, {name: "size", kind: anInt}, audience}, common...)
	templateShape = append(shape{{name: "uriTemplate", kind: aString, must: true}, {name: "name", kind: aString},
		{name: "mimeType", kind: aString}, audience}, common...)
)

var contentsShape = shape{{name: "uri", kind: aString, must: true}, {name: "mimeType", kind: aString},
	{name: "text", kind: aString}, {name: "blob", kind: aString}, {name: "_meta", kind: anObject}}

// blockShapes are those of the blocks that we know; others are anything.
var blockShapes = map[string]shape{
	"text":  {{name: "text", kind: aString, must: true}, audience, {name: "_meta", kind: anObject}},
	"image": mediaShape, "audio": mediaShape,
	"resource_link": append(shape{{name: "name", kind: aString, must: true}}, resourceShape...),
	"resource": {{name: "resource", kind: anObject, must: true}, audience,
		{name: "_meta", kind: anObject}},
}

var mediaShape = shape{{name: "data", kind: aString, must: true}, {name: "mimeType", kind: aString, must: true},
	audience, {name: "_meta", kind: anObject}}

// fit holds o against the shape. What is null counts as absent, and is taken out. An error says
// what is wrong. With mend, members that need not be there are taken out instead; without it only
// those with a value that is not known, of which odd is told.
func (s shape) fit(o *Object, mend bool, odd func(string)) error {
	for _, f := range s {
		v := o.Get(f.name)
		if string(v) == "null" {
			o.Delete(f.name)
			v = nil
		}
		if v == nil {
			if f.must {
				return fmt.Errorf("it has no %s", f.name)
			}
			continue
		}
		now, err := f.fit(v, mend, odd)
		unknown := (*valueError)(nil)
		switch {
		case err == nil:
			if now != nil {
				o.Set(f.name, now)
			}
		case f.must || !mend && !errors.As(err, &unknown):
			return err
		default:
			odd(err.Error())
			o.Delete(f.name)
		}
	}
	return nil
}

// fit returns what the value becomes; nil: it stays.
func (f field) fit(v json.RawMessage, mend bool, odd func(string)) (json.RawMessage, error) {
	if l, ok := limited[f.kind]; ok {
		if _, err := (field{name: f.name, kind: l.kind}).fit(v, mend, odd); err != nil {
			return nil, err
		}
		if !l.known(v) {
			return nil, &valueError{fmt.Sprintf("its %s is %.60s, not %s", f.name, v, f.kind)}
		}
		return nil, nil
	}
	wrong := fmt.Errorf("its %s is %s, not %s", f.name, kindOf(v), f.kind)
	switch f.kind {
	case strs, objects:
		items, ok := jsonedit.ParseArray(v)
		if !ok {
			return nil, wrong
		}
		want, changed := aString, false
		if f.kind == objects {
			want = anObject
		}
		for i, item := range items {
			if kindOf(item) != want {
				return nil, fmt.Errorf("its %s are not %s: one is %s", f.name, f.kind, kindOf(item))
			}
			now, err := field{f.name, want, true, f.of}.fit(item, mend, odd)
			if err != nil {
				return nil, err
			}
			if now != nil {
				items[i], changed = now, true
			}
		}
		if changed {
			return jsonedit.Array(items), nil
		}
		return nil, nil
	case anObject:
		if v[0] != '{' {
			return nil, wrong
		}
		if f.of == nil {
			return nil, nil
		}
		o, err := ReadObject(v)
		if err == nil {
			err = f.of.fit(o, mend, func(what string) { odd(fmt.Sprintf("in its %s: %s", f.name, what)) })
		}
		if err != nil {
			return nil, fmt.Errorf("in its %s: %w", f.name, err)
		}
		if o.Changed() {
			return o.Raw(), nil
		}
		return nil, nil
	case strsByName:
		o, err := ReadObject(v)
		if err != nil {
			return nil, wrong
		}
		for _, m := range o.Object {
			if is := kindOf(m.Value); is != aString && is != "null" {
				return nil, fmt.Errorf("its %s are not %s: %s is %s", f.name, f.kind, m.Key, is)
			}
		}
	case anID:
		if is := kindOf(v); is != aString && is != aNumber {
			return nil, wrong
		}
	case anInt:
		if n, err := strconv.ParseFloat(string(v), 64); err != nil || n != math.Trunc(n) {
			return nil, wrong
		}
	default:
		if kindOf(v) != f.kind {
			return nil, wrong
		}
	}
	return nil, nil
}

// kindOf is what a JSON value is, by its first byte.
func kindOf(raw json.RawMessage) kind {
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return anObject
	case '[':
		return "a list"
	case '"':
		return aString
	case 't', 'f':
		return aBoolean
	case 'n':
		return "null"
	}
	return aNumber
}

// text is a member that is a string; empty if it is none.
func (o *Object) text(name string) string {
	raw := o.Get(name)
	s, ok := rawjson.Unquote(raw)
	if !ok && len(raw) > 0 && raw[0] == '"' {
		_ = json.Unmarshal(raw, &s) // what is not UTF-8 becomes U+FFFD
	}
	return s
}

func orEmptyList(raw json.RawMessage) json.RawMessage {
	if raw == nil || string(raw) == "null" {
		return json.RawMessage("[]")
	}
	return raw
}
