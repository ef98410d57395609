package project

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// A decoder sets Go values from what was written, each once and strictly, and collects what does
// not fit. What was written are leaves and maps of a tree, or plain values. A text that spells a
// number or a boolean is taken for one where one is wanted, so that ${env:PORT} can fill an int;
// nothing else is converted.
type decoder struct {
	keys *naming
	// tree is where the values are from. nil: they are an agent's config block, whose texts are not
	// shown, where null leaves a field as it is and a number may be 0.
	tree     *tree
	path     []string
	top      *section // of the project file
	key      *key     // that is being set
	problems []*Error
	// unknown is set when there is an unknown key at the top.
	unknown bool
}

// fail notes a problem with v, at the current path.
func (d *decoder) fail(v any, hint, format string, args ...any) bool {
	e := &Error{Pos: d.pos(v), Key: slices.Clone(d.path), Message: fmt.Sprintf(format, args...), Hint: hint}
	if len(d.path) > 0 {
		e.Message = joinPath(d.path) + ": " + e.Message
	}
	d.problems = append(d.problems, e)
	return false
}

func (d *decoder) pos(v any) Position {
	switch v := v.(type) {
	case *leaf:
		return v.pos
	case map[string]any:
		if d.tree != nil {
			return d.tree.position(d.path...)
		}
	}
	return Position{}
}

func (d *decoder) wanted(v any, hint, want string) bool {
	got := describe(v)
	if s, ok := plainOf(v).(string); ok && d.tree != nil {
		got = "text " + quote(v, s)
	}
	return d.fail(v, hint, "wants %s, not %s", want, got)
}

// plainOf returns what stands in a leaf, its items still with their places, or the value itself.
func plainOf(v any) any {
	switch v := v.(type) {
	case *leaf:
		return v.value
	case json.Number: // an agent's config may come from there
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	}
	return v
}

// describe says what a value is, without its content when that is text.
func describe(v any) string {
	switch plainOf(v).(type) {
	case nil:
		return "nothing"
	case bool:
		return literal(v)
	case string:
		return "text"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	default:
		return "the number " + literal(v)
	}
}

// literal is a number or a boolean as it was written.
func literal(v any) string {
	if l, ok := v.(*leaf); ok && l.literal != "" {
		return l.literal
	}
	return fmt.Sprint(plainOf(v))
}

// quote shows a text for a message: what may be shown of it, if it is in a leaf with a secret.
func quote(v any, text string) string {
	if l, ok := v.(*leaf); ok && l.masked != "" {
		text = l.masked
	}
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	return strconv.Quote(text)
}
