package project

import (
	"reflect"
)

// A Difference is a key with another value in one configuration than in another. Secrets are
// masked, so that Old and New may be the same text. Empty: the key is not there.
type Difference struct {
	Path     []string
	Old, New string
}

// Key writes the path as a project file has it: agents.search.timeout.
func (d Difference) Key() string { return joinPath(d.Path) }

// Differences lists the keys whose values are others in next, in the order of their declaration. An
// agent that only one of them has is one difference, and so is everything else with a name. Both
// must be complete: see [Config.Complete].
func (c *Config) Differences(next *Config) []Difference {
	d := differ{old: printer{c: c}, next: printer{c: next}}
	d.section(nil, reflect.ValueOf(c).Elem(), reflect.ValueOf(next).Elem())
	return d.found
}

type differ struct {
	old, next printer
	found     []Difference
}

func (d *differ) section(path []string, a, b reflect.Value) {
	for i := range declared.section(a.Type()).keys {
		k := &declared.section(a.Type()).keys[i]
		d.value(below(path, k.name), a.FieldByIndex(k.index), b.FieldByIndex(k.index), k)
	}
}

// value compares two values of one type. k is the key that they belong to, nil where nobody
// declares what there is.
func (d *differ) value(path []string, a, b reflect.Value, k *key) {
	for a.Kind() == reflect.Pointer || a.Kind() == reflect.Interface {
		if a.IsNil() || b.IsNil() || a.Elem().Type() != b.Elem().Type() {
			d.note(path, a, b, k)
			return
		}
		a, b = a.Elem(), b.Elem()
	}
	switch {
	case a.Kind() == reflect.Struct:
		d.section(path, a, b)
	case a.Kind() == reflect.Map && a.Type().Key().Kind() == reflect.String:
		if a.Type().Elem().Kind() == reflect.Interface {
			k = nil
		}
		d.entries(path, a, b, k)
	default:
		d.note(path, a, b, k)
	}
}

func (d *differ) entries(path []string, a, b reflect.Value, k *key) {
	names := keysOf(a)
	for name := range keysOf(b) {
		names[name] = true
	}
	for _, name := range sortedKeys(names) {
		at, key := below(path, name), reflect.ValueOf(name).Convert(a.Type().Key())
		x, y := a.MapIndex(key), b.MapIndex(key)
		if x.IsValid() && y.IsValid() {
			d.value(at, x, y, k)
			continue
		}
		d.note(at, x, y, k)
	}
}

// note adds a difference, if there is one.
func (d *differ) note(path []string, a, b reflect.Value, k *key) {
	if a.IsValid() && b.IsValid() && (reflect.DeepEqual(a.Interface(), b.Interface()) ||
		empty(a) && empty(b)) {
		return
	}
	d.found = append(d.found, Difference{Path: path, Old: text(&d.old, path, a, k), New: text(&d.next, path, b, k)})
}

// empty reports whether a list or a map has nothing in it.
func empty(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// text is a value in one line; that of a block says only that there is one.
func text(p *printer, path []string, v reflect.Value, k *key) string {
	if !v.IsValid() || v.IsZero() {
		return ""
	}
	shown := p.value(path, "", v, k)
	if shown.block != nil {
		return "{…}"
	}
	return shown.text
}
