package project

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/openmas/openmas/internal/nearest"
)

// set sets dst to v, and reports whether v fits. k is the key that dst belongs to, nil for an item.
func (d *decoder) set(dst reflect.Value, v any, k *key) bool {
	value := plainOf(v)
	if value == nil {
		return d.null(dst, v)
	}
	if d.key = k; k != nil && k.canOff && value == offText {
		return d.turnOff(dst, v, k)
	}
	for dst.Kind() == reflect.Pointer {
		to := dst
		if dst = reflect.New(to.Type().Elem()).Elem(); !to.IsNil() {
			dst.Set(to.Elem())
		}
		defer func(elem reflect.Value) { to.Set(elem.Addr()) }(dst)
	}
	t := dst.Type()
	switch {
	case value == offText && d.tree != nil && isQuantity(t):
		return d.fail(v, "leave the key out for its default", "cannot be off")
	case t == durationType:
		return d.duration(dst, v)
	case readsText(t):
		return d.text(dst, v)
	}
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() == 0 {
			dst.Set(reflect.ValueOf(plain(value)))
			return true
		}
	case reflect.Struct:
		if m, ok := value.(map[string]any); ok {
			return d.fields(dst, m)
		}
		return d.wanted(v, "", `a mapping ("key: value" lines)`)
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return d.entries(dst, v)
		}
	case reflect.Slice, reflect.Array:
		return d.list(dst, v)
	default:
		if set, ok := scalars[t.Kind()]; ok {
			return set(d, dst, v)
		}
	}
	return d.fail(v, "", "a %s cannot be set from a file", t)
}

// null is a key without a value.
func (d *decoder) null(dst reflect.Value, v any) bool {
	l, written := v.(*leaf)
	for dst.Kind() == reflect.Pointer {
		dst = reflect.New(dst.Type().Elem()).Elem()
	}
	switch {
	case d.tree == nil, written && l.reset:
		return true
	case dst.Kind() == reflect.Interface:
		return true
	}
	hint := "leave the key out for its default"
	if written && l.literal != "" && dst.Kind() == reflect.String {
		hint = "write it in quotes where it is a text: " + strconv.Quote(l.literal)
	} else if k := dst.Kind(); k == reflect.Struct || k == reflect.Map {
		hint = "leave the key out, or write {} for an empty mapping"
	}
	return d.fail(v, hint, "has no value")
}

// turnOff sets what off stands for.
func (d *decoder) turnOff(dst reflect.Value, v any, k *key) bool {
	switch {
	case dst.Kind() == reflect.Pointer: // a section that is not there
		return true
	case dst.Kind() == reflect.Struct:
		return d.set(dst, map[string]any{k.off: v}, nil)
	}
	if err := setText(dst, k.off); err != nil {
		return d.fail(v, "", "%v", err)
	}
	return true
}

// fields sets the fields of a struct that a mapping names; the others keep their values.
func (d *decoder) fields(dst reflect.Value, m map[string]any) bool {
	s, ok, taken := d.keys.section(dst.Type()), true, map[*key]string{}
	if len(d.path) == 0 {
		d.top = s
	}
	for name, v := range m {
		k := d.keys.find(s, name)
		if k == nil {
			ok = d.unknownKey(s, name, v)
			continue
		}
		if other, twice := taken[k]; twice {
			names := []string{name, other}
			slices.Sort(names)
			ok = d.fail(nil, "keep one", "%q and %q are the same key", names[0], names[1])
			continue
		}
		if d.keys.fold {
			taken[k] = name
		}
		d.path = append(d.path, name)
		ok = d.set(dst.FieldByIndex(k.index), v, k) && ok
		d.path = d.path[:len(d.path)-1]
	}
	return ok
}

func (d *decoder) unknownKey(s *section, name string, v any) bool {
	var names []string
	for _, k := range s.keys {
		if kind := k.typ.Kind(); kind != reflect.Func && kind != reflect.Chan {
			names = append(names, k.name)
		}
	}
	where := ""
	if len(d.path) > 0 {
		where = " in " + joinPath(d.path)
	}
	e := &Error{Key: below(d.path, name), Message: fmt.Sprintf("unknown key %q%s", name, where),
		Hint: nearest.Hint(name, names)}
	if d.tree != nil && len(d.path) > 0 && d.keys.find(d.top, name) != nil {
		e.Hint = "it is a key of the project: write it at the top level of the file"
	}
	if l, ok := v.(*leaf); ok {
		e.Pos = l.key
	} else if d.tree != nil {
		e.Pos = d.tree.position(e.Key...)
	}
	d.unknown = d.unknown || len(d.path) == 0
	d.problems = append(d.problems, e)
	return false
}

// entries adds the entries of a mapping to a map.
func (d *decoder) entries(dst reflect.Value, v any) bool {
	m, ok := plainOf(v).(map[string]any)
	if !ok {
		return d.wanted(v, "", `a mapping ("name: value" lines)`)
	}
	t := dst.Type()
	out := reflect.MakeMapWithSize(t, len(m)+dst.Len())
	for it := dst.MapRange(); it.Next(); {
		out.SetMapIndex(it.Key(), it.Value())
	}
	for name, c := range m {
		if l, ok := c.(*leaf); ok && l.reset {
			continue
		}
		elem := reflect.New(t.Elem()).Elem()
		d.path = append(d.path, name)
		fits := d.set(elem, c, nil)
		if d.path = d.path[:len(d.path)-1]; fits || elem.Kind() == reflect.Struct {
			out.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), elem)
		}
		ok = ok && fits
	}
	dst.Set(out)
	return ok
}

func (d *decoder) list(dst reflect.Value, v any) bool {
	var items []any
	switch value := plainOf(v).(type) {
	case []any:
		items = value
	case []string: // from Go code
		for _, s := range value {
			items = append(items, s)
		}
	case string:
		return d.wanted(v, "write "+listOf(v, value, d.tree != nil), "a list")
	default:
		return d.wanted(v, "", "a list")
	}
	out := reflect.New(dst.Type()).Elem()
	if dst.Kind() == reflect.Slice {
		out = reflect.MakeSlice(dst.Type(), len(items), len(items))
	} else if len(items) != dst.Len() {
		return d.fail(v, "", "wants %d items, not %d", dst.Len(), len(items))
	}
	ok := true
	for i, c := range items {
		d.path = append(d.path, item(i))
		ok = d.set(out.Index(i), c, nil) && ok
		d.path = d.path[:len(d.path)-1]
	}
	if ok {
		dst.Set(out)
	}
	return ok
}

// plainWord is a text that YAML takes for one without quotes, in a list too.
var plainWord = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9_./=+-]*$`)

// listOf writes a text as the list that was most likely meant: its words. shown is false where it
// may be a secret.
func listOf(v any, text string, shown bool) string {
	words := strings.Fields(text)
	if l, ok := v.(*leaf); !shown || ok && l.masked != "" || len(words) == 0 || len(text) > 200 ||
		strings.ContainsAny(text, "\"'`\\$") { // what stands between quotes is for a person to cut
		return "[a, b]"
	}
	for i, word := range words {
		switch strings.ToLower(word) {
		case "true", "false", "null", "yes", "no", "on", "off":
			words[i] = strconv.Quote(word)
		default:
			if !plainWord.MatchString(word) {
				words[i] = strconv.Quote(word)
			}
		}
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// setText sets what a tag says.
func setText(dst reflect.Value, text string) error {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil && dst.CanInt() { // off, for a duration or size
		dst.SetInt(i)
		return nil
	}
	d := decoder{}
	if !d.set(dst, text, nil) {
		return d.problems[0]
	}
	return nil
}

// Fill sets the fields of the struct that target points to from an agent's config:
// block. Keys are the fields' json names, matched as encoding/json does; a field the
// block does not name keeps its value. A time.Duration is written "3s"; a type with
// UnmarshalText reads its text; a text that spells a number or a boolean fills one, so
// that "${env:PORT}" can. Everything else must fit exactly, and an unknown key is an
// error. The error is Errors with keys relative to the block and no positions:
// Config.Locate adds those. No value appears in it.
func Fill(target any, config map[string]any) error {
	if len(config) == 0 {
		return nil // so that an agent without fields need not be a pointer
	}
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("fill a %T: it is not a pointer to a struct", target)
	}
	t := v.Type().Elem()
	if t.Kind() != reflect.Struct {
		return Errors{{Message: fmt.Sprintf("the agent is a %s, which takes no configuration", t)}}
	}
	d := decoder{keys: &naming{tag: "json", untagged: true, fold: true, sections: map[reflect.Type]*section{}}}
	d.set(v.Elem(), config, nil)
	if len(d.problems) > 0 {
		return Errors(sorted(d.problems, nil))
	}
	return nil
}
