package project

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/nearest"
)

// Checker compares a plain value with a Go type, strictly, and says everything that
// does not fit. A text that spells a number or a boolean is taken for one where one
// is wanted, so that ${env:PORT} can fill an int; nothing else is converted.
type Checker struct {
	Schema
	Positive bool // a number or duration of 0 or less is a problem
	NullOK   bool // null leaves a field as it is; else it is a problem
	// Show quotes a text for a message, or masks it. When nil, texts are not shown.
	Show func(path []string, text string) string

	problems []Problem
}

// Check returns v with what fits made exact (a duration is a time.Duration) and what
// does not left out, and the problems, whose positions are not set.
func (c Checker) Check(v any, t reflect.Type) (any, []Problem) {
	clean, _ := c.value(nil, v, t)
	return clean, c.problems
}

func (c *Checker) fail(path []string, hint, format string, args ...any) (any, bool) {
	p := problemf(Position{}, path, format, args...)
	if p.Hint = hint; len(path) > 0 {
		p.Message = JoinPath(path) + ": " + p.Message
	}
	c.problems = append(c.problems, p)
	return nil, false
}

func (c *Checker) wanted(path []string, hint, want string, v any) (any, bool) {
	got := Describe(v)
	if s, ok := v.(string); ok && c.Show != nil {
		got = "text " + c.Show(path, s)
	}
	return c.fail(path, hint, "wants %s, not %s", want, got)
}

func (c *Checker) value(path []string, v any, t reflect.Type) (any, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n, ok := v.(json.Number); ok {
		v = number(n)
	}
	if v == nil {
		if c.NullOK || t.Kind() == reflect.Interface {
			return nil, !c.NullOK
		}
		hint := "leave the key out for its default"
		if k := t.Kind(); k == reflect.Struct || k == reflect.Map {
			hint = "leave the key out, or write {} for an empty mapping"
		}
		return c.fail(path, hint, "has no value")
	}
	switch {
	case t == durationType:
		return c.duration(path, v)
	case readsText(t):
		return c.text(path, v, t)
	}
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return v, true
		}
	case reflect.Struct:
		if m, ok := v.(map[string]any); ok {
			return c.fields(path, m, t)
		}
		return c.wanted(path, "", `a mapping ("key: value" lines)`, v)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			break
		}
		m, ok := v.(map[string]any)
		if !ok {
			return c.wanted(path, "", `a mapping ("name: value" lines)`, v)
		}
		out := make(map[string]any, len(m))
		for key, elem := range m {
			if clean, ok := c.value(child(path, key), elem, t.Elem()); ok {
				out[key] = clean
			}
		}
		return out, true
	case reflect.Slice, reflect.Array:
		return c.list(path, v, t)
	case reflect.String:
		if s, ok := v.(string); ok {
			return s, true
		}
		hint := ""
		switch v.(type) {
		case bool, int64, uint64, float64, int:
			hint = fmt.Sprintf("write it in quotes: \"%v\"", v)
		}
		return c.wanted(path, hint, "text", v)
	case reflect.Bool:
		switch v {
		case true, "true":
			return true, true
		case false, "false":
			return false, true
		}
		return c.wanted(path, "", "true or false", v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return c.whole(path, v, t)
	case reflect.Float32, reflect.Float64:
		return c.float(path, v)
	}
	return c.fail(path, "", "a %s cannot be set from a file", t)
}

func (c *Checker) fields(path []string, m map[string]any, t reflect.Type) (any, bool) {
	fields := c.Fields(t)
	out, taken := make(map[string]any, len(m)), map[string]string{}
	for key, v := range m {
		f, ok := c.match(fields, key)
		if !ok {
			c.unknown(path, key, fields)
			continue
		}
		if other, twice := taken[f.Name]; twice {
			keys := []string{key, other}
			slices.Sort(keys)
			c.fail(path, "keep one", "%q and %q are the same key", keys[0], keys[1])
			continue
		}
		taken[f.Name] = key
		if clean, ok := c.value(child(path, key), v, f.Type); ok {
			out[f.Name] = clean
		}
	}
	return out, true
}

func (c *Checker) unknown(path []string, key string, fields []Field) {
	var names []string
	for _, f := range fields {
		if k := f.Type.Kind(); k != reflect.Func && k != reflect.Chan {
			names = append(names, f.Name)
		}
	}
	where := ""
	if len(path) > 0 {
		where = " in " + JoinPath(path)
	}
	p := problemf(Position{}, child(path, key), "unknown key %q%s", key, where)
	p.Hint, p.AtKey = nearest.Hint(key, names), true
	c.problems = append(c.problems, p)
}

func (c *Checker) list(path []string, v any, t reflect.Type) (any, bool) {
	items, ok := v.([]any)
	if !ok {
		switch s := v.(type) {
		case []string: // from Go code
			items = make([]any, len(s))
			for i := range s {
				items[i] = s[i]
			}
		case string:
			return c.wanted(path, "write [a, b]", "a list", v)
		default:
			return c.wanted(path, "", "a list", v)
		}
	}
	if t.Kind() == reflect.Array && len(items) != t.Len() {
		return c.fail(path, "", "wants %d items, not %d", t.Len(), len(items))
	}
	out := make([]any, 0, len(items))
	for i, item := range items {
		if item == nil && c.NullOK {
			out = append(out, nil)
			continue
		}
		if clean, ok := c.value(child(path, Item(i)), item, t.Elem()); ok {
			out = append(out, clean)
		}
	}
	return out, len(out) == len(items)
}

func (c *Checker) duration(path []string, v any) (any, bool) {
	const example = `write a number and a unit: "300ms", "3s", "5m"`
	d, isDuration := v.(time.Duration) // from Go code
	if s, ok := v.(string); ok {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			if _, err := strconv.ParseFloat(s, 64); err != nil {
				return c.wanted(path, example, "a duration", v)
			}
			return c.wanted(path, example, "a duration with a unit", v)
		}
	} else if !isDuration {
		return c.wanted(path, example, "a duration with a unit", v)
	}
	if c.Positive && d <= 0 {
		return c.fail(path, "leave the key out for the default", "a duration must be longer than 0")
	}
	return d, true
}

func (c *Checker) text(path []string, v any, t reflect.Type) (any, bool) {
	s, ok := v.(string)
	if !ok {
		switch v.(type) {
		case int, int64, uint64, float64, bool:
			s = fmt.Sprint(v)
		default:
			if reflect.TypeOf(v) == t { // from Go code
				return v, true
			}
			return c.wanted(path, "", "text", v)
		}
	}
	if err := reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		if c.Show == nil || c.Show(path, s) != strconv.Quote(s) {
			return c.fail(path, "", "the text is no valid %s", strings.ToLower(t.Name())) // err may quote a secret
		}
		return c.fail(path, "", "%v", err)
	}
	return s, true
}

func (c *Checker) whole(path []string, v any, t reflect.Type) (any, bool) {
	const want = "a whole number"
	var i int64
	switch n := v.(type) {
	case int:
		i = int64(n)
	case int64:
		i = n
	case uint64:
		if !isUnsigned(t) || reflect.Zero(t).OverflowUint(n) {
			return c.fail(path, "", "the number %d is too large", n)
		}
		return n, true
	case float64:
		if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
			return c.wanted(path, "", want, v)
		}
		i = int64(n)
	case string:
		parsed, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return c.wanted(path, "", want, v)
		}
		i = parsed
	default:
		return c.wanted(path, "", want, v)
	}
	switch {
	case c.Positive && i < 1:
		return c.fail(path, "leave the key out for the default", "must be at least 1, not %d", i)
	case isUnsigned(t) && i < 0:
		return c.fail(path, "", "must not be negative, as %d is", i)
	case isUnsigned(t) && reflect.Zero(t).OverflowUint(uint64(i)), !isUnsigned(t) && reflect.Zero(t).OverflowInt(i):
		return c.fail(path, "", "the number %d is too large", i)
	}
	return i, true
}

func isUnsigned(t reflect.Type) bool { return t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uintptr }

func (c *Checker) float(path []string, v any) (any, bool) {
	var f float64
	switch n := v.(type) {
	case int:
		f = float64(n)
	case int64:
		f = float64(n)
	case uint64:
		f = float64(n)
	case float64:
		f = n
	case string:
		parsed, err := strconv.ParseFloat(n, 64)
		if err != nil {
			return c.wanted(path, "", "a number", v)
		}
		f = parsed
	default:
		return c.wanted(path, "", "a number", v)
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return c.fail(path, "", "is not a number that can be used here")
	}
	if c.Positive && f <= 0 {
		return c.fail(path, "leave the key out for the default", "must be more than 0, not %v", f)
	}
	return f, true
}

// number reads what encoding/json kept as text.
func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String()
}
