// Package form asks for the arguments that a JSON schema wants: it reads the schema, says what each
// argument may be, takes what somebody has typed for it, and says at once what is wrong with that.
// It knows no terminal: see [Asker].
package form

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// A Field is one value that a form asks for.
type Field struct {
	// Path leads to the value from the whole input: {"address", "city"}.
	Path     []string
	Required bool
	// Secret values are not to be shown.
	Secret bool
	// Default is what the schema names; empty: nothing.
	Default json.RawMessage
	// Choices are the values of an enumeration; nil: the field has none.
	Choices []Choice

	kind   kind
	node   node
	items  *Field // of a list
	reader reader
}

// A Choice is a value that a field can have, with a text for people.
type Choice struct {
	Value json.RawMessage
	Text  string
}

type kind int

const (
	kindAny kind = iota
	kindText
	kindInteger
	kindNumber
	kindBoolean
	kindList
	kindObject
)

// Name is how people write the field: address.city.
func (f Field) Name() string { return strings.Join(f.Path, ".") }

const (
	// maxNested bounds how deep objects are asked for by their members. Below it they are JSON.
	maxNested = 4
	// maxFields bounds a form: a stranger has made its schema.
	maxFields = 500
)

// Fields reads the fields of an object's schema, the required ones first, otherwise in its order.
// An object that is required and names its members is asked for by them.
func Fields(schema json.RawMessage) []Field {
	r := reader{schema}
	var all []Field
	r.collect(&all, r.node(schema), nil, true)
	slices.SortStableFunc(all, func(a, b Field) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	return all
}

func (r reader) collect(all *[]Field, object node, path []string, required bool) {
	for _, m := range object.Properties {
		if len(*all) == maxFields {
			return
		}
		f := r.field(m.raw)
		f.Path = append(slices.Clone(path), m.name)
		f.Required = required && slices.Contains(object.Required, m.name)
		if f.kind == kindObject && f.Required && len(f.Default) == 0 && len(f.node.Properties) > 0 &&
			len(f.Path) < maxNested {
			r.collect(all, f.node, f.Path, true)
			continue
		}
		*all = append(*all, f)
	}
}

// field reads a part of the schema as the kind of value that it is.
func (r reader) field(raw json.RawMessage) Field {
	n := r.node(raw)
	f := Field{Default: n.Default, node: n, reader: r, Secret: n.WriteOnly || n.Format == "password"}
	f.Choices = r.choices(n)
	switch {
	case len(n.Const) > 0:
		f.Choices, f.Default = []Choice{choice(n.Const, "")}, n.Const
	case f.Choices != nil:
	case n.is("string"):
		f.kind = kindText
	case n.is("integer"):
		f.kind = kindInteger
	case n.is("number"):
		f.kind = kindNumber
	case n.is("boolean"):
		f.kind = kindBoolean
	case n.is("array"):
		f.kind = kindList
		if len(n.Items) > 0 {
			items := r.field(n.Items)
			f.items = &items
		}
	case n.is("object"), len(n.Type) == 0 && len(n.Properties) > 0:
		f.kind = kindObject
	}
	return f
}

// choices are the values of an enumeration, which schemas write in three ways.
func (r reader) choices(n node) []Choice {
	var all []Choice
	for i, v := range n.Enum {
		text := ""
		if i < len(n.EnumNames) {
			text = n.EnumNames[i]
		}
		all = append(all, choice(v, text))
	}
	if all != nil {
		return all
	}
	for _, raw := range slices.Concat(n.OneOf, n.AnyOf) {
		one := parse(raw)
		if len(one.Const) == 0 {
			return nil
		}
		all = append(all, choice(one.Const, one.Title))
	}
	return all
}

// choice is a value with its text; without one, the value is the text.
func choice(value json.RawMessage, text string) Choice {
	if plain := plain(value); text == "" || text == plain {
		text = plain
	} else {
		text = plain + " (" + text + ")"
	}
	return Choice{value, text}
}

// plain is a value as people write it: a text without quotes, anything else as JSON.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// Hint says in one line what the field wants: its description, and which values are possible.
func (f Field) Hint() string {
	about := firstLine(f.node.Description)
	title, name := firstLine(f.node.Title), strings.ReplaceAll(f.Name(), "_", " ") // Python's title is the name
	if about == "" && !strings.EqualFold(title, name) {
		about = title
	}
	shape := f.shape()
	if about == "" || shape == "" {
		return about + shape
	}
	return about + " · " + shape
}

// shape says which values are possible.
func (f Field) shape() string {
	switch f.kind {
	case kindText:
		return words(formats[f.node.Format], f.length())
	case kindInteger:
		return words("whole number", f.span())
	case kindNumber:
		return words("number", f.span())
	case kindList:
		if f.items == nil {
			return "list, as JSON"
		}
		what := "values"
		switch {
		case f.items.Choices != nil:
			what = "any of " + strings.Join(texts(f.items.Choices), ", ")
		case f.items.kind == kindText:
			what = words("texts", formats[f.items.node.Format])
		case f.items.kind == kindInteger || f.items.kind == kindNumber:
			what = "numbers"
		case f.items.kind == kindObject || f.items.kind == kindList || f.items.kind == kindAny:
			return "list, as JSON"
		}
		return what + ", with commas between them"
	case kindObject:
		return "object, as JSON: " + f.members()
	case kindAny:
		if f.Choices == nil {
			return "JSON, or a text"
		}
	case kindBoolean:
	}
	return ""
}

// members shows an object with its members.
func (f Field) members() string {
	var names []string
	for _, m := range f.node.Properties {
		mark := ""
		if !slices.Contains(f.node.Required, m.name) {
			mark = "?"
		}
		names = append(names, strconv.Quote(m.name)+mark)
	}
	if len(names) == 0 {
		return "{…}"
	}
	return "{" + strings.Join(names, ", ") + "}"
}

var formats = map[string]string{"date": "date, such as 2026-12-31", "date-time": "time, such as 2026-12-31T23:59:00Z",
	"email": "mail address", "uri": "URI"}

// span is the range of a number.
func (f Field) span() string {
	low, high := f.node.Minimum, f.node.Maximum
	switch {
	case low != "" && high != "":
		return low.String() + " to " + high.String()
	case low != "":
		return "at least " + low.String()
	case high != "":
		return "at most " + high.String()
	}
	return ""
}

// length is how long a text is to be.
func (f Field) length() string {
	low, high := f.node.MinLength, f.node.MaxLength
	switch {
	case low != nil && *low > 1 && high != nil:
		return strconv.Itoa(*low) + " to " + strconv.Itoa(*high) + " characters"
	case low != nil && *low > 1:
		return "at least " + strconv.Itoa(*low) + " characters"
	case high != nil:
		return "at most " + strconv.Itoa(*high) + " characters"
	}
	return ""
}

func words(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func texts(all []Choice) []string {
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = c.Text
	}
	return out
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(s)
}

// Members are the fields of an object's own members, the required ones first, otherwise in its
// order: no member of a member is one.
func Members(schema json.RawMessage) []Field {
	r := reader{schema}
	var all []Field
	object := r.node(schema)
	for _, required := range []bool{true, false} {
		for _, m := range object.Properties[:min(len(object.Properties), maxFields)] {
			if slices.Contains(object.Required, m.name) == required {
				f := r.field(m.raw)
				f.Path, f.Required = []string{m.name}, required
				all = append(all, f)
			}
		}
	}
	return all
}

// Values are the values that the field can have, as people write them; nil where they are not
// counted.
func (f Field) Values() []string {
	if f.kind == kindBoolean {
		return []string{"true", "false"}
	}
	var all []string
	for _, c := range f.Choices {
		all = append(all, plain(c.Value))
	}
	return all
}
