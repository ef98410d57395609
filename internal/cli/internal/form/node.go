package form

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
)

// A node is what a form reads of a JSON schema. What it cannot read of one is as if it were not
// there: whoever is called checks the whole.
type node struct {
	raw json.RawMessage

	Ref         string            `json:"$ref"`
	Type        types             `json:"type"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Default     json.RawMessage   `json:"default"`
	Const       json.RawMessage   `json:"const"`
	Enum        []json.RawMessage `json:"enum"`
	EnumNames   []string          `json:"enumNames"`
	AnyOf       []json.RawMessage `json:"anyOf"`
	OneOf       []json.RawMessage `json:"oneOf"`
	Properties  members           `json:"properties"`
	Required    []string          `json:"required"`
	Items       json.RawMessage   `json:"items"`
	Format      string            `json:"format"`
	WriteOnly   bool              `json:"writeOnly"`

	Minimum          json.Number `json:"minimum"`
	Maximum          json.Number `json:"maximum"`
	ExclusiveMinimum json.Number `json:"exclusiveMinimum"`
	ExclusiveMaximum json.Number `json:"exclusiveMaximum"`
	MultipleOf       json.Number `json:"multipleOf"`
	MinLength        *int        `json:"minLength"`
	MaxLength        *int        `json:"maxLength"`
	Pattern          string      `json:"pattern"`
}

// types are the types that a schema allows. It may name one or several.
type types []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
		return nil
	}
	var all []string
	err := json.Unmarshal(b, &all)
	*t = all
	return err
}

// members are the members of an object, in its order.
type members []member

type member struct {
	name string
	raw  json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *members) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		one := member{}
		one.name, _ = key.(string) // the keys of objects are
		if err := dec.Decode(&one.raw); err != nil {
			return err
		}
		*m = append(*m, one)
	}
	return nil
}

// maxHops bounds how many references are followed one after the other.
const maxHops = 8

// A reader reads the parts of one schema.
type reader struct{ root json.RawMessage }

// node reads a part, through its references and past alternatives that say nothing: Python's
// optional X is an X or null.
func (r reader) node(raw json.RawMessage) node {
	n := parse(raw)
	for range maxHops {
		next, ok := r.next(n)
		if !ok {
			break
		}
		outer := n
		n = parse(next)
		if outer.Title != "" {
			n.Title = outer.Title
		}
		if outer.Description != "" {
			n.Description = outer.Description
		}
		if len(outer.Default) > 0 {
			n.Default = outer.Default
		}
		n.WriteOnly = n.WriteOnly || outer.WriteOnly
	}
	return n
}

// next is the part that a part stands for.
func (r reader) next(n node) (json.RawMessage, bool) {
	if n.Ref != "" {
		return r.lookUp(n.Ref)
	}
	var left []json.RawMessage
	for _, raw := range slices.Concat(n.AnyOf, n.OneOf) {
		if alternative := parse(raw); !slices.Equal(alternative.Type, types{"null"}) {
			left = append(left, raw)
		}
	}
	if len(left) == 1 && len(n.Type) == 0 {
		return left[0], true
	}
	return nil, false
}

// lookUp finds what a reference within the schema leads to.
func (r reader) lookUp(ref string) (json.RawMessage, bool) {
	path, within := strings.CutPrefix(ref, "#")
	if !within {
		return nil, false
	}
	at := r.root
	for _, part := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if part == "" {
			continue
		}
		var o map[string]json.RawMessage
		if json.Unmarshal(at, &o) != nil {
			return nil, false
		}
		next, ok := o[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		if !ok {
			return nil, false
		}
		at = next
	}
	return at, true
}

// parse reads a part as it stands. One that is true, or that does not decode, allows everything.
func parse(raw json.RawMessage) node {
	n := node{}
	if json.Unmarshal(raw, &n) != nil {
		n = node{}
	}
	n.raw = raw
	return n
}

// is reports whether the type is the only one that the schema allows besides null.
func (n node) is(name string) bool {
	only := ""
	for _, t := range n.Type {
		if t == "null" {
			continue
		}
		if only != "" {
			return false
		}
		only = t
	}
	return only == name
}

// OfPrompt is the schema of a prompt's arguments, which are texts.
func OfPrompt(arguments []agent.PromptArgument) json.RawMessage {
	type property struct {
		Type        string `json:"type"`
		Title       string `json:"title,omitempty"`
		Description string `json:"description,omitempty"`
	}
	properties, required := "", []string{}
	for _, a := range arguments {
		name, err := json.Marshal(a.Name)
		one, wrong := json.Marshal(property{"string", a.Title, a.Description})
		if err != nil || wrong != nil {
			continue // cannot happen to texts
		}
		if properties != "" {
			properties += ","
		}
		properties += string(name) + ":" + string(one)
		if a.Required {
			required = append(required, a.Name)
		}
	}
	names, err := json.Marshal(required)
	if err != nil {
		return nil // cannot happen to texts
	}
	return json.RawMessage(`{"type":"object","properties":{` + properties + `},"required":` + string(names) + `}`)
}
