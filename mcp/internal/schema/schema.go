// Package schema checks the JSON schemas of tools against their meta-schemas, and repairs the
// shapes of wrong ones that are known. One schema that is none makes many clients refuse the whole
// list of tools.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// Any is a schema that every input fits.
var Any = json.RawMessage(`{"type":"object"}`)

// A Checker checks schemas. The zero value is ready. It is safe for concurrent use.
type Checker struct {
	mu   sync.Mutex
	meta map[string]*jsonschema.Schema // by the URL of the draft
}

// drafts are the meta-schemas; the first is that of schemas that do not say.
var drafts = []string{"https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema",
	"http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-06/schema",
	"http://json-schema.org/draft-04/schema"}

// draftOf is the draft that a schema says it is of.
func draftOf(doc any) string {
	root, _ := doc.(map[string]any)
	said, _ := root["$schema"].(string)
	said = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(said, "https:"), "http:"), "#")
	for _, d := range drafts {
		if said != "" && strings.HasSuffix(d, said) && strings.HasPrefix(said, "//") {
			return d
		}
	}
	return drafts[0]
}

// metaSchema compiles a draft's meta-schema when it is first needed.
func (c *Checker) metaSchema(draft string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.meta[draft]; s != nil {
		return s, nil
	}
	s, err := compiler().Compile(draft)
	if err != nil {
		return nil, err
	}
	if c.meta == nil {
		c.meta = map[string]*jsonschema.Schema{}
	}
	c.meta[draft] = s
	return s, nil
}

// compiler loads nothing, and takes every regular expression: Go knows fewer of them than clients.
func compiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) { return anyRegexp(s), nil })
	return c
}

type noLoader struct{}

// Load implements [jsonschema.URLLoader].
func (noLoader) Load(url string) (any, error) { return nil, fmt.Errorf("%s is elsewhere", url) }

type anyRegexp string

// MatchString implements [jsonschema.Regexp].
func (anyRegexp) MatchString(string) bool { return true }

// String implements [jsonschema.Regexp].
func (r anyRegexp) String() string { return string(r) }

// check finds where raw is no schema: the places of the innermost faults, and a sentence on the
// first.
func (c *Checker) check(raw json.RawMessage) (places [][]string, why string) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return [][]string{{}}, "it is no JSON"
	}
	meta, err := c.metaSchema(draftOf(doc))
	if err != nil {
		return [][]string{{}}, err.Error()
	}
	var bad *jsonschema.ValidationError
	if err = meta.Validate(doc); err == nil {
		return nil, ""
	}
	if !errors.As(err, &bad) {
		return [][]string{{}}, err.Error()
	}
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			walk(cause)
		}
		if len(e.Causes) > 0 {
			return
		}
		if !slices.ContainsFunc(places, func(p []string) bool { return slices.Equal(p, e.InstanceLocation) }) {
			places = append(places, e.InstanceLocation)
		}
		if why == "" {
			lines := strings.Split(e.Error(), "\n")
			why = strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "- ")
		}
	}
	walk(bad)
	return places, why
}

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
