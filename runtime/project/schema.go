package project

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// A Schema says how a Go type is written in a file: which struct tag names its keys.
type Schema struct {
	Tag      string // the struct tag with the key, as in `koanf:"timeout"`
	Fold     bool   // keys match whatever their case, as in encoding/json
	Untagged bool   // a field without the tag goes by its Go name; else it has no key
}

// Field is one key of a struct.
type Field struct {
	Name  string
	Type  reflect.Type
	Index []int // for reflect.Value.FieldByIndex
}

// Fields lists the keys of a struct type in the order of its fields. Embedded structs
// are flattened into it.
func (s Schema) Fields(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get(s.Tag), ",")
		if f.Anonymous && f.Type.Kind() == reflect.Struct && (s.Untagged || options == "squash") {
			for _, inner := range s.Fields(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				out = append(out, inner)
			}
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			if !s.Untagged {
				continue
			}
			name = f.Name
		}
		out = append(out, Field{Name: name, Type: f.Type, Index: []int{i}})
	}
	return out
}

// match finds the field a key means.
func (s Schema) match(fields []Field, key string) (Field, bool) {
	for _, f := range fields {
		if f.Name == key {
			return f, true
		}
	}
	if s.Fold {
		for _, f := range fields {
			if strings.EqualFold(f.Name, key) {
				return f, true
			}
		}
	}
	return Field{}, false
}

// TypeAt returns the type a path leads to, or nil when it leads nowhere or into
// something untyped.
func (s Schema) TypeAt(t reflect.Type, path []string) reflect.Type {
	for _, seg := range path {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Struct:
			f, ok := s.match(s.Fields(t), seg)
			if !ok {
				return nil
			}
			t = f.Type
		case reflect.Map:
			t = t.Elem()
		default:
			return nil
		}
	}
	if t.Kind() == reflect.Interface {
		return nil
	}
	return t
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsText reports whether a value of the type can be set from text by its own method.
func readsText(t reflect.Type) bool {
	return t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(textType)
}
