package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/openmas/openmas/internal/jsonfields"
)

// inference knows what encoding/json does with two types that look like lists of numbers, and the
// types whose JSON is MCP's and may have members that they do not know.
func inference() *jsonschema.ForOptions {
	asInMCP := func(what, member string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "object", Description: what + " as in MCP", Required: []string{member},
			Properties: map[string]*jsonschema.Schema{member: {Type: "string"}}}
	}
	return &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {},
		reflect.TypeFor[[]byte]():          {Type: "string", ContentEncoding: "base64"},
		reflect.TypeFor[Content]():         asInMCP("a content block", "type"),
		reflect.TypeFor[Blocks]():          {Description: "a content block as in MCP, or a list of them"},
		reflect.TypeFor[ToolInfo]():        asInMCP("a tool", "name"),
		reflect.TypeFor[PromptInfo]():      asInMCP("a prompt", "name"),
		reflect.TypeFor[ResourceInfo]():    asInMCP("a resource or a template of resources", "name"),
	}}
}

// inferredSchema is what the library infers of a type, where structs have the fields that
// encoding/json gives them: the library takes an embedded struct for its fields, whatever its tag
// says, and leaves one out that has a field of its own name.
func inferredSchema(t reflect.Type) (*jsonschema.Schema, error) {
	o := inference()
	if err := flatten(t, o, map[reflect.Type]bool{}); err != nil {
		return nil, err
	}
	return jsonschema.ForType(t, o)
}

// flatten adds the schemas of all structs in t to o that embed something, or have several fields of
// one name.
func flatten(t reflect.Type, o *jsonschema.ForOptions, seen map[reflect.Type]bool) error {
	for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map}, t.Kind()) {
		if o.TypeSchemas[t] != nil || seen[t] {
			return nil
		}
		seen[t] = true
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || o.TypeSchemas[t] != nil || seen[t] ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	seen[t] = true
	fields := jsonfields.Of(t)
	for _, f := range fields {
		if err := flatten(f.Type, o, seen); err != nil {
			return err
		}
	}
	if plain(t, len(fields)) {
		return nil
	}
	var flat []reflect.StructField
	for i, f := range fields {
		tag := f.JSON + "," + strings.Join(f.Options, ",")
		if f.Behind {
			tag += ",omitempty"
		}
		tag = "json:" + strconv.Quote(tag)
		if text, ok := f.Tag.Lookup("jsonschema"); ok {
			tag += " jsonschema:" + strconv.Quote(text)
		}
		flat = append(flat, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: f.Type, Tag: reflect.StructTag(tag)})
	}
	whole := reflect.StructOf(flat)
	s, err := jsonschema.ForType(whole, o)
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), whole.String(), t.String()))
	}
	o.TypeSchemas[t] = s
	return nil
}

// plain reports whether a struct embeds nothing, and each of its exported fields is one of the n
// that its JSON has.
func plain(t reflect.Type, n int) bool {
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Anonymous:
			return false
		case f.IsExported() && f.Tag.Get("json") != "-":
			n--
		}
	}
	return n == 0
}
