// Package schema checks the JSON schemas of tools against their meta-schemas, and repairs the
// shapes of wrong ones that are known. One schema that is none makes many clients refuse the whole
// list of tools.
package schema

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// Any is a schema that every input fits.
var Any = json.RawMessage(`{"type":"object"}`)

// Input is a schema of a tool's input as every client takes it: raw itself where that is right,
// or repaired, or [Any]. what says what was wrong; it is empty if nothing was.
func (c *Checker) Input(raw json.RawMessage) (fixed json.RawMessage, what string) {
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
	switch jsonedit.Kind(raw) {
	case 0, 'n':
		return nil, ""
	}
	if fixed, what = c.repair(raw, false); fixed == nil {
		return nil, what
	}
	if jsonedit.Kind(fixed) != '{' {
		return nil, "it is not an object"
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(fixed))
	if err != nil {
		return nil, "it is no JSON"
	}
	// Some clients compile it when they list, all of them when they check a result.
	compiler := compiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseRegexpEngine(scripted)
	const self = "tool:///output"
	if root, ok := doc.(map[string]any); ok && draftOf(doc) == drafts[0] {
		delete(root, "$schema") // it may be one that is not known here
	}
	if err = compiler.AddResource(self, doc); err == nil {
		_, err = compiler.Compile(self)
	}
	if err != nil {
		return nil, strings.ReplaceAll(err.Error(), "\n", " ")
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
