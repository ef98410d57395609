// Package schema checks the JSON schemas of tools against their meta-schemas, and repairs the
// shapes of wrong ones that are known. One schema that is none makes many clients refuse the whole
// list of tools.
package schema

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// Any is a schema that every input fits.
var Any = json.RawMessage(`{"type":"object"}`)

// Input is a schema of a tool's input as every client takes it: raw itself where that is right,
// or repaired, or [Any]. what says what was wrong; it is empty if nothing was. The caller must not
// change it.
func (c *Checker) Input(raw json.RawMessage) (fixed json.RawMessage, what string) {
	return c.remembered(&c.inputs, raw, c.input)
}

func (c *Checker) input(raw json.RawMessage) (fixed json.RawMessage, what string) {
	switch jsonedit.Kind(raw) {
	case 0, 'n':
		return Any, "" // takes no input, or any: many servers leave it out then
	}
	fixed, what = c.repair(raw, true)
	if fixed == nil {
		return Any, what
	}
	o, ok := jsonedit.ParseObject(fixed)
	if !ok {
		return Any, "it is not an object"
	}
	if string(o.Get("type")) != `"object"` { // MCP demands it; many leave it out
		o.Set("type", json.RawMessage(`"object"`))
		fixed = o.Raw()
	}
	return plainProperties(fixed), what
}

// Output is a schema of a tool's structured result, as [Checker.Input] has it; nil where it cannot
// be repaired: to say too much makes clients refuse results.
func (c *Checker) Output(raw json.RawMessage) (fixed json.RawMessage, what string) {
	return c.remembered(&c.outputs, raw, c.output)
}

func (c *Checker) output(raw json.RawMessage) (fixed json.RawMessage, what string) {
	switch jsonedit.Kind(raw) {
	case 0, 'n':
		return nil, ""
	}
	var said string // of a draft that clients do not know: they refuse what the tool returns
	if o, ok := jsonedit.ParseObject(raw); ok && json.Unmarshal(o.Get("$schema"), &said) == nil {
		if d := draftNamed(said); d == "" || d == drafts[len(drafts)-1] {
			said = fmt.Sprintf("its $schema %q is none that all clients know, and is left out", said)
			o.Delete("$schema")
			raw = o.Raw()
		} else {
			said = ""
		}
	}
	if fixed, what = c.repair(raw, false); fixed == nil {
		return nil, what
	}
	what = cmp.Or(what, said)
	if jsonedit.Kind(fixed) != '{' {
		return nil, "it is not an object"
	}
	if err := compile(fixed); err != nil {
		return nil, err.Error()
	}
	return plainProperties(fixed), what
}

// IsObject reports whether a schema is one of objects, as the eras with a handshake demand of both.
func IsObject(raw json.RawMessage) bool {
	o, ok := jsonedit.ParseObject(raw)
	return ok && string(o.Get("type")) == `"object"`
}

// plainProperties is a schema in which every property has an object for a schema. The specification
// allows true and false as well, and SDKs write true for what takes any value, but clients made
// with the TypeScript SDK refuse a whole list of tools for one of them.
func plainProperties(raw json.RawMessage) json.RawMessage {
	o, ok := jsonedit.ParseObject(raw)
	if !ok {
		return raw
	}
	properties, ok := jsonedit.ParseObject(o.Get("properties"))
	if !ok {
		return raw
	}
	changed := false
	for i, p := range properties {
		switch string(p.Value) {
		case "true":
			properties[i].Value, changed = json.RawMessage(`{}`), true
		case "false":
			properties[i].Value, changed = json.RawMessage(`{"not":{}}`), true
		}
	}
	if !changed {
		return raw
	}
	o.Set("properties", properties.Raw())
	return o.Raw()
}
