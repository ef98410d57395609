package schema

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// maxRepairs bounds how often one schema is checked anew: a repair may show another fault.
const maxRepairs = 20

// repair makes the known wrong shapes right; nil where something else is wrong. what says what was
// wrong first. tighten: a repair may say more than the schema did, where its author meant it.
func (c *Checker) repair(raw json.RawMessage, tighten bool) (fixed json.RawMessage, what string) {
	for range maxRepairs {
		places, why := c.check(raw)
		if len(places) == 0 {
			return raw, what
		}
		if what == "" {
			what = why
		}
		changed := false
		// innermost and last first: a repair must not move what is still to be repaired
		slices.SortFunc(places, func(a, b []string) int { return comparePaths(b, a) })
		for _, p := range places {
			if now, ok := repairAt(raw, p, tighten); ok {
				raw, changed = now, true
			}
		}
		if !changed {
			return nil, what
		}
	}
	return nil, what
}

func comparePaths(a, b []string) int {
	for i := range min(len(a), len(b)) {
		x, errX := strconv.Atoi(a[i])
		y, errY := strconv.Atoi(b[i])
		if errX == nil && errY == nil && x != y {
			return x - y
		}
	}
	return slices.Compare(a, b)
}

// repairAt repairs the value at a place, or the nearest around it that a repair is known for.
func repairAt(raw json.RawMessage, place []string, tighten bool) (json.RawMessage, bool) {
	for at := place; len(at) > 0; at = at[:len(at)-1] {
		known := false
		now := jsonedit.Edit(raw, at, func(old json.RawMessage) (now json.RawMessage) {
			switch key := at[len(at)-1]; roleOf(at) {
			case isKeyword:
				now, known = repairKeyword(key, old)
			case isSubschema:
				if k := jsonedit.Kind(old); k == 'n' || k == '[' && isEmpty(old) { // PHP's empty map
					now, known = json.RawMessage("{}"), true
				}
			}
			if !known {
				return old
			}
			return now
		})
		if !known {
			continue
		}
		if move := moved(raw, at); tighten && move != nil {
			now = move(now)
		}
		return now, true
	}
	return nil, false
}

// A role is what a value in a schema is.
type role int

const (
	isData      role = iota // or inside of it, or of what is no keyword
	isKeyword               // the value of one
	isSubschema             // in a list or under a name
)

func roleOf(at []string) role {
	in := isKeyword // what the next part of the path leads to
	for i, key := range at {
		if i == len(at)-1 {
			return in
		}
		_, err := strconv.Atoi(at[i+1])
		switch index := err == nil; {
		case in == isSubschema:
			in = isKeyword
		case holdsSchemas[key], listsSchemas[key] && index, isSchema[key] && index:
			in = isSubschema
		case !isSchema[key]:
			return isData
		}
	}
	return isData
}

func isEmpty(raw json.RawMessage) bool {
	items, ok := jsonedit.ParseArray(raw)
	return ok && len(items) == 0
}

// repairKeyword makes the value of a keyword right; nil takes it out. ok is false where no repair
// is known.
func repairKeyword(key string, old json.RawMessage) (now json.RawMessage, ok bool) {
	kind := jsonedit.Kind(old)
	switch {
	case kind == 'n': // no more than if it were not there
		return nil, true
	case holdsSchemas[key] || isSchema[key] || key == "dependentRequired":
		return json.RawMessage("{}"), isEmpty(old) // PHP's empty map
	case isList[key]:
		return repairList(key, kind, old)
	case decorates[key]:
		return nil, true
	case key == "exclusiveMinimum", key == "exclusiveMaximum": // of draft 4, a boolean beside a bound
		if kind == 't' || kind == 'f' {
			return nil, true
		}
		return repairNumber(kind, old)
	case isNumber[key]:
		return repairNumber(kind, old)
	case key == "type":
		return repairType(kind, old)
	}
	return nil, false
}

// repairList repairs what should be a list.
func repairList(key string, kind byte, old json.RawMessage) (json.RawMessage, bool) {
	switch {
	case key == "required" && (kind == 't' || kind == 'f'): // of a property itself, as in draft 3
		return nil, true
	case key == "required" && kind == '"':
		return jsonedit.Array([]json.RawMessage{old}), true
	case kind == '{': // PHP's list with a gap
		o, ok := jsonedit.ParseObject(old)
		if !ok {
			return nil, false
		}
		var items []json.RawMessage
		for _, m := range o {
			if _, err := strconv.Atoi(m.Key); err != nil {
				return nil, false
			}
			items = append(items, m.Value)
		}
		if len(items) == 0 {
			return nil, true
		}
		return jsonedit.Array(items), true
	case kind == '[':
		items, ok := jsonedit.ParseArray(old)
		if !ok {
			return nil, false
		}
		if len(items) == 0 {
			return nil, true
		}
		if key != "required" && key != "enum" {
			return nil, false
		}
		var once []json.RawMessage
		for _, item := range items {
			same := func(n json.RawMessage) bool { return string(n) == string(item) }
			if (key == "enum" || jsonedit.Kind(item) == '"') && !slices.ContainsFunc(once, same) {
				once = append(once, item)
			}
		}
		if len(once) == 0 {
			return nil, true
		}
		return jsonedit.Array(once), len(once) < len(items)
	}
	return nil, false
}

// repairNumber takes a number out of quotes.
func repairNumber(kind byte, old json.RawMessage) (json.RawMessage, bool) {
	var s string
	if kind != '"' || json.Unmarshal(old, &s) != nil || !json.Valid([]byte(s)) {
		return nil, false
	}
	if k := jsonedit.Kind([]byte(s)); k != '-' && (k < '0' || k > '9') {
		return nil, false
	}
	return json.RawMessage(s), true
}

// repairType writes the names of other languages in JSON schema's words.
func repairType(kind byte, old json.RawMessage) (json.RawMessage, bool) {
	var s string
	if kind == '"' && json.Unmarshal(old, &s) == nil {
		if t, known := typeWords[s]; known {
			if t == "" {
				return nil, true
			}
			return jsonedit.String(t), true
		}
	}
	return nil, isEmpty(old)
}

// moved moves `"required": true` of a property to the list of the object around it, and the bound
// of draft 4 that is exclusive to the keyword that later drafts have for it; nil: nothing is to be
// moved.
func moved(raw json.RawMessage, at []string) func(json.RawMessage) json.RawMessage {
	var old json.RawMessage
	jsonedit.Edit(raw, at, func(v json.RawMessage) json.RawMessage { old = v; return v })
	if string(old) != "true" {
		return nil
	}
	n := len(at)
	switch key := at[n-1]; {
	case key == "required" && n >= 3 && at[n-3] == "properties":
		return func(raw json.RawMessage) json.RawMessage {
			return edit(raw, at[:n-3], func(o *jsonedit.Object) {
				names, _ := jsonedit.ParseArray(o.Get("required"))
				o.Set("required", jsonedit.Array(append(names, jsonedit.String(at[n-2]))))
			})
		}
	case key == "exclusiveMinimum", key == "exclusiveMaximum":
		bound := map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}[key]
		return func(raw json.RawMessage) json.RawMessage {
			return edit(raw, at[:n-1], func(o *jsonedit.Object) {
				if v := o.Get(bound); v != nil {
					o.Delete(bound)
					o.Set(key, v)
				}
			})
		}
	}
	return nil
}

func edit(raw json.RawMessage, at []string, f func(*jsonedit.Object)) json.RawMessage {
	return jsonedit.Edit(raw, at, func(old json.RawMessage) json.RawMessage {
		o, ok := jsonedit.ParseObject(old)
		if !ok {
			return old
		}
		f(&o)
		return o.Raw()
	})
}

func set(keys ...string) map[string]bool {
	m := map[string]bool{}
	for _, k := range keys {
		m[k] = true
	}
	return m
}

// What the keywords hold. None of it is changed.
var (
	holdsSchemas = set("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
	isSchema     = set("items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties",
		"contains", "propertyNames", "not", "if", "then", "else")
	listsSchemas = set("allOf", "anyOf", "oneOf", "prefixItems")
	isList       = set("required", "enum", "allOf", "anyOf", "oneOf", "prefixItems", "examples")
	isNumber     = set("minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems",
		"minProperties", "maxProperties", "minContains", "maxContains")
	decorates = set("title", "description", "$comment", "format", "readOnly", "writeOnly", "deprecated", "$schema",
		"$id", "id")
	typeWords = map[string]string{"any": "", "": "", "str": "string", "int": "integer", "long": "integer",
		"float": "number", "double": "number",
		"bool": "boolean", "dict": "object", "map": "object", "list": "array", "none": "null", "None": "null"}
)
