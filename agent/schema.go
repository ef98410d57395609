package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/openmas/openmas/internal/jsonfields"
	"github.com/openmas/openmas/internal/multipleof"
	"github.com/openmas/openmas/internal/nearest"
)

const anyObject = `{"type":"object"}`

// inputSchema gives the schema of an input type. Structs refuse unknown members, maps and any take
// every object.
func inputSchema(t reflect.Type) (json.RawMessage, error) {
	if t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface {
		return json.RawMessage(anyObject), nil
	}
	s, err := inferredSchema(t)
	if err != nil {
		return nil, fmt.Errorf("%w (agent.WithInputSchema sets one by hand)", err)
	}
	spellOut(s)
	s.Types = nil // a pointer's schema is ["null", "object"]: arguments are an object always
	s.Type = "object"
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return b, fmt.Errorf("the input is a %s: MCP wants an object, so take a struct or a map", t)
	}
	return b, nil
}

// spellOut writes schemas that allow everything as objects, where they would be encoded as true:
// clients made with the TypeScript SDK refuse the whole list of tools for one such property, and
// some models' APIs do.
func spellOut(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	for name, p := range s.Properties {
		s.Properties[name] = spelledOut(p)
	}
	s.Items = spelledOut(s.Items)
	spellOut(s.AdditionalProperties)
}

func spelledOut(s *jsonschema.Schema) *jsonschema.Schema {
	if s != nil && reflect.DeepEqual(s, &jsonschema.Schema{}) {
		return &jsonschema.Schema{Description: "any JSON value"}
	}
	spellOut(s)
	return s
}

// outputSchema gives the schema of an output type where that is an object of a known shape, else
// none: MCP asks for objects there, and a schema is optional.
func outputSchema(t reflect.Type) json.RawMessage {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[Result]() || t == reflect.TypeFor[Content]() {
		return nil
	}
	s, err := inferredSchema(t)
	if err != nil || s.Type != "object" {
		return nil // recursive, or encodes itself
	}
	spellOut(s)
	b, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return b
}

// compileSchema returns a check of raw input. It is safe for concurrent use.
func compileSchema(raw json.RawMessage) (func(json.RawMessage) error, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%.80q is no JSON schema: %w", raw, err)
	}
	if s.Type != "object" {
		return nil, errors.New(`the type must be "object"`)
	}
	multiples := multipleof.Take(&s)
	r, err := s.Resolve(nil)
	if err != nil {
		return nil, err
	}
	var quick *check
	if multiples == nil {
		quick = newCheck(&s)
	}
	return func(in json.RawMessage) error {
		if quick != nil && quick.accepts(in) {
			return nil
		}
		var v any
		if err := json.Unmarshal(in, &v); err != nil {
			return fmt.Errorf("the input is not JSON: %w", err)
		}
		if err := r.Validate(v); err != nil {
			return &inputError{err, nearest.Member(raw, in)}
		}
		if multiples == nil {
			return nil
		}
		if err := multiples(v); err != nil {
			return &inputError{err, ""}
		}
		return nil
	}, nil
}

// An inputError says what is wrong with an input, and where, in the words of whoever wrote it: the
// library names the place by the schema's parts, and each number as a fraction.
type inputError struct {
	error
	meant string // a member that was meant, or ""
}

func (e *inputError) Unwrap() error { return e.error }

func (e *inputError) Error() string {
	where, what := "", e.error.Error()
	for strings.HasPrefix(what, "validating ") {
		place, rest, ok := strings.Cut(strings.TrimPrefix(what, "validating "), ": ")
		if !ok {
			break
		}
		where, what = place, rest
	}
	if aboutNumber.MatchString(what) {
		what = wholeNumbers.ReplaceAllString(what, "$1")
	}
	if place := memberOf(where); place != "" {
		what = place + ": " + what
	}
	if e.meant != "" {
		what += "; " + e.meant
	}
	return "invalid input: " + what
}

var (
	aboutNumber  = regexp.MustCompile(`^(?:exclusive)?(?:[mM]inimum|[mM]aximum|multipleOf): `)
	wholeNumbers = regexp.MustCompile(`\b(\d+)(?:/1|\.0+)\b`) // 3/1 and 3.000000
)

// memberOf turns /properties/a/items/properties/b into a[].b. It is "" for the whole input, and for
// what is not of such parts alone.
func memberOf(schema string) string {
	var out strings.Builder
	parts := strings.Split(strings.TrimPrefix(schema, "/"), "/")
	for i := 0; i < len(parts); i++ {
		switch {
		case parts[i] == "properties" && i+1 < len(parts):
			i++
			if out.Len() > 0 {
				out.WriteByte('.')
			}
			out.WriteString(strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[i]))
		case parts[i] == "items" || parts[i] == "additionalProperties":
			out.WriteString("[]")
		default:
			return ""
		}
	}
	return out.String()
}

// A program makes many agents of few types, and each of them its tools anew. What follows from a Go
// type alone is worked out once: there is an entry for each type that a tool or a prompt of this
// program takes or returns, and nothing else.
var (
	inferredInputs  sync.Map // reflect.Type to *inferred
	inferredOutputs sync.Map // reflect.Type to json.RawMessage
)

// inferred is the schema of an input type. It must not be changed.
type inferred struct {
	schema json.RawMessage
	err    error
	// check is of raw input, with what is wrong with the schema itself.
	check    func(json.RawMessage) error
	checkErr error
}

// inferInput gives the schema of an input type, and the check of what is sent for it.
func inferInput(t reflect.Type) *inferred {
	if known, ok := inferredInputs.Load(t); ok {
		return known.(*inferred)
	}
	i := &inferred{}
	i.schema, i.err = inputSchema(t)
	i.check, i.checkErr = compileSchema(i.schema)
	known, _ := inferredInputs.LoadOrStore(t, i)
	return known.(*inferred)
}

// inferSchema gives the schema of an input type alone.
func inferSchema(t reflect.Type) (json.RawMessage, error) {
	i := inferInput(t)
	return i.schema, i.err
}

// inferOutput gives the schema of an output type, if it has one.
func inferOutput(t reflect.Type) json.RawMessage {
	if known, ok := inferredOutputs.Load(t); ok {
		return known.(json.RawMessage)
	}
	known, _ := inferredOutputs.LoadOrStore(t, outputSchema(t))
	return known.(json.RawMessage)
}

// inFieldOrder walks props, the properties of t's schema, in the order in which t declares them: a
// schema's map has lost it. What is not a plain field of t follows by name.
func inFieldOrder[V any](t reflect.Type, props map[string]V) iter.Seq2[string, V] {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var names []string
	if t.Kind() == reflect.Struct {
		for _, f := range jsonfields.Of(t) {
			if _, ok := props[f.JSON]; ok {
				names = append(names, f.JSON)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return func(yield func(string, V) bool) {
		for _, n := range names {
			if !yield(n, props[n]) {
				return
			}
		}
	}
}
