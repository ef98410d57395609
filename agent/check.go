package agent

import (
	"reflect"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// A check is a schema made into one pass over raw JSON. It can only say that a value is surely
// valid: what it does not accept, for whatever reason, is for jsonschema-go to judge, and so are
// all schemas with keywords that are not here. It exists because a validation of decoded values
// costs more than the rest of a call.
type check struct {
	kinds    kind
	members  []member
	required uint64 // by the members' bits
	extra    *check // what other members have to be; nil: there must be none
	items    *check
	strings  []string // if not nil, the only ones
	// Bounds; nil: none.
	minItems, maxItems, minLength, maxLength *int
	minimum, maximum                         *float64
}

type member struct {
	name string
	bit  uint64
	*check
}

type kind uint8

const (
	isNull kind = 1 << iota
	isBool
	isInteger
	isFraction
	isString
	isArray
	isObject
	isAnything kind = 1<<iota - 1
)

var kinds = map[string]kind{"null": isNull, "boolean": isBool, "integer": isInteger, "number": isInteger | isFraction,
	"string": isString, "array": isArray, "object": isObject}

const (
	maxCheckDepth = 64 // of schemas and values
	maxMembers    = 64 // bits of a uint64
)

// newCheck is the check of a schema, or nil.
func newCheck(s *jsonschema.Schema) *check { return compileCheck(s, 0) }

func compileCheck(s *jsonschema.Schema, depth int) *check {
	if depth > maxCheckDepth || s != nil && !understood(s) {
		return nil
	}
	c := &check{kinds: isAnything}
	if s == nil || reflect.ValueOf(*s).IsZero() {
		c.items, c.extra = c, c
		return c
	}
	if s.Type != "" || s.Types != nil {
		c.kinds = kinds[s.Type]
		for _, t := range s.Types {
			c.kinds |= kinds[t]
		}
	}
	c.minItems, c.maxItems, c.minLength, c.maxLength, c.minimum, c.maximum = s.MinItems, s.MaxItems, s.MinLength,
		s.MaxLength, s.Minimum, s.Maximum
	for _, e := range s.Enum {
		text, ok := e.(string)
		if !ok {
			return nil
		}
		c.strings, c.kinds = append(c.strings, text), c.kinds&isString
	}
	if c.items = compileCheck(s.Items, depth+1); c.items == nil {
		return nil
	}
	if never := s.AdditionalProperties; never == nil || never.Not == nil || !reflect.ValueOf(*never.Not).IsZero() {
		if c.extra = compileCheck(never, depth+1); c.extra == nil {
			return nil
		}
	}
	for name, p := range s.Properties {
		inner := compileCheck(p, depth+1)
		if inner == nil {
			return nil
		}
		c.members = append(c.members, member{name, 1 << len(c.members), inner})
	}
	for _, name := range s.Required {
		m := c.member([]byte(name))
		if m == nil {
			return nil
		}
		c.required |= m.bit
	}
	return c
}

// understood reports whether a schema has only keywords that are checked here, or that are for
// people.
func understood(s *jsonschema.Schema) bool {
	rest := *s
	rest.Type, rest.Types, rest.Enum, rest.Items, rest.Properties, rest.Required, rest.AdditionalProperties = "", nil,
		nil, nil, nil, nil, nil
	rest.MinItems, rest.MaxItems, rest.MinLength, rest.MaxLength, rest.Minimum, rest.Maximum = nil, nil, nil, nil, nil,
		nil
	rest.Title, rest.Description, rest.Comment, rest.Examples, rest.Default, rest.PropertyOrder = "", "", "", nil, nil,
		nil
	rest.ReadOnly, rest.WriteOnly, rest.Deprecated, rest.ContentEncoding, rest.Schema = false, false, false, "", ""
	return reflect.ValueOf(rest).IsZero() && len(s.Properties) <= maxMembers && (s.Enum == nil || len(s.Enum) > 0)
}

func (c *check) member(name []byte) *member {
	for i := range c.members {
		if m := &c.members[i]; m.name == string(name) {
			return m
		}
	}
	return nil
}

// accepts reports whether b is surely one valid value.
func (c *check) accepts(b []byte) bool {
	i := c.value(b, blank(b, 0), 0)
	return i >= 0 && blank(b, i) == len(b)
}

// value returns the index just past the valid value at b[i], or -1.
func (c *check) value(b []byte, i, depth int) int {
	if i >= len(b) || depth > maxCheckDepth {
		return -1
	}
	switch b[i] {
	case '{':
		return c.object(b, i, depth)
	case '[':
		return c.array(b, i, depth)
	case '"':
		return c.text(b, i)
	case 't':
		return c.word(b, i, "true", isBool)
	case 'f':
		return c.word(b, i, "false", isBool)
	case 'n':
		return c.word(b, i, "null", isNull)
	}
	return c.number(b, i)
}

func (c *check) word(b []byte, i int, word string, k kind) int {
	if c.kinds&k == 0 || len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func (c *check) object(b []byte, i, depth int) int {
	if c.kinds&isObject == 0 {
		return -1
	}
	var seen uint64
	if i = blank(b, i+1); i < len(b) && b[i] == '}' {
		return c.end(i+1, seen)
	}
	for i < len(b) && b[i] == '"' {
		end, _, plain := quoted(b, i)
		if end < 0 || !plain {
			return -1
		}
		inner := c.extra
		if m := c.member(b[i+1 : end-1]); m != nil {
			if seen&m.bit != 0 {
				return -1 // twice
			}
			seen |= m.bit
			inner = m.check
		}
		if i = blank(b, end); inner == nil || i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = inner.value(b, blank(b, i+1), depth+1); i < 0 {
			return -1
		}
		if i = blank(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case '}':
			return c.end(i+1, seen)
		case ',':
			i = blank(b, i+1)
		default:
			return -1
		}
	}
	return -1
}

func (c *check) end(i int, seen uint64) int {
	if c.required&^seen != 0 {
		return -1
	}
	return i
}

func (c *check) array(b []byte, i, depth int) int {
	if c.kinds&isArray == 0 {
		return -1
	}
	n := 0
	if i = blank(b, i+1); i < len(b) && b[i] == ']' {
		return c.within(i+1, n, c.minItems, c.maxItems)
	}
	for {
		if i = c.items.value(b, i, depth+1); i < 0 {
			return -1
		}
		n++
		if i = blank(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ']':
			return c.within(i+1, n, c.minItems, c.maxItems)
		case ',':
			i = blank(b, i+1)
		default:
			return -1
		}
	}
}

func (c *check) within(i, n int, least, most *int) int {
	if least != nil && n < *least || most != nil && n > *most {
		return -1
	}
	return i
}

func (c *check) text(b []byte, i int) int {
	end, runes, plain := quoted(b, i)
	if end < 0 || c.kinds&isString == 0 {
		return -1
	}
	if c.strings != nil {
		for _, s := range c.strings {
			if plain && s == string(b[i+1:end-1]) {
				return end
			}
		}
		return -1
	}
	return c.within(end, runes, c.minLength, c.maxLength)
}

// quoted returns the index just past the string at b[i], or -1, with its length in code points;
// plain: it has no escapes. Escapes by number are not accepted.
func quoted(b []byte, i int) (end, runes int, plain bool) {
	plain = true
	for i++; i < len(b); runes++ {
		switch ch := b[i]; {
		case ch == '"':
			return i + 1, runes, plain
		case ch == '\\':
			plain = false
			if i+1 >= len(b) {
				return -1, 0, false
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			default:
				return -1, 0, false
			}
		case ch < 0x20:
			return -1, 0, false
		case ch < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError {
				return -1, 0, false
			}
			i += n
		}
	}
	return -1, 0, false
}

// number accepts integers that a float64 holds exactly, and short fractions where their size does
// not matter.
func (c *check) number(b []byte, i int) int {
	start, v, negative := i, 0.0, b[i] == '-'
	if negative {
		i++
	}
	first := i
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		v = v*10 + float64(b[i]-'0')
	}
	if i == first || i-first > 15 || b[first] == '0' && i-first > 1 {
		return -1
	}
	k := isInteger
	if i < len(b) && b[i] == '.' {
		k = isFraction
		point := i
		for i++; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		}
		if i == point+1 || i-start > 17 || c.minimum != nil || c.maximum != nil {
			return -1
		}
	}
	if c.kinds&k == 0 || i < len(b) && b[i]|0x20 == 'e' {
		return -1
	}
	if negative {
		v = -v
	}
	if c.minimum != nil && v < *c.minimum || c.maximum != nil && v > *c.maximum {
		return -1
	}
	return i
}

func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}
