// Package jsonfields knows which fields of a struct encoding/json reads and writes.
package jsonfields

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A Field is a field of a struct, or one that the struct has from another that it embeds.
type Field struct {
	reflect.StructField
	// JSON is its name in JSON.
	JSON string
	// Options of its tag, such as "omitempty".
	Options []string
	// Behind reports whether a pointer that the struct embeds leads to it: if that is nil, the
	// field is not there.
	Behind bool

	path   []int
	tagged bool
}

// Of returns the fields of struct type t that have a place in its JSON, in the order of their
// declaration. Of several with one name it is the one that is embedded least deep, and there the
// one whose tag says the name; if that is not one alone, the name has no field at all.
func Of(t reflect.Type) []Field {
	var all []Field
	for level, visited := []embedded{{typ: t, times: 1}}, map[reflect.Type]bool{}; len(level) > 0; {
		var next []embedded
		for _, e := range level {
			if !visited[e.typ] {
				visited[e.typ] = true
				all, next = e.walk(all, next)
			}
		}
		level = next
	}
	slices.SortStableFunc(all, func(a, b Field) int {
		return cmp.Or(strings.Compare(a.JSON, b.JSON), cmp.Compare(len(a.path), len(b.path)),
			cmp.Compare(untagged(a), untagged(b)))
	})
	var out []Field
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].JSON == all[0].JSON {
			n++
		}
		if n == 1 || len(all[0].path) != len(all[1].path) || all[0].tagged != all[1].tagged {
			out = append(out, all[0])
		}
		all = all[n:]
	}
	slices.SortFunc(out, func(a, b Field) int { return slices.Compare(a.path, b.path) })
	return out
}

func untagged(f Field) int {
	if f.tagged {
		return 0
	}
	return 1
}

// An embedded struct is one whose fields are those of the one around it.
type embedded struct {
	typ    reflect.Type
	path   []int
	times  int // how often it is embedded at this depth
	behind bool
}

// walk adds the fields of e to all, and the structs that it embeds to next.
func (e embedded) walk(all []Field, next []embedded) ([]Field, []embedded) {
	for i := range e.typ.NumField() {
		f := e.typ.Field(i)
		to := f.Type
		pointer := to.Kind() == reflect.Pointer && to.Name() == ""
		if pointer {
			to = to.Elem()
		}
		inside := f.Anonymous && to.Kind() == reflect.Struct
		tag := f.Tag.Get("json")
		if !f.IsExported() && !inside || tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !valid(name) {
			name = ""
		}
		path := append(slices.Clone(e.path), i)
		if inside && name == "" {
			behind := e.behind || pointer
			if n := slices.IndexFunc(next, func(x embedded) bool { return x.typ == to }); n >= 0 {
				next[n].times++
			} else {
				next = append(next, embedded{to, path, 1, behind})
			}
			continue
		}
		field := Field{StructField: f, JSON: cmp.Or(name, f.Name), Behind: e.behind, path: path, tagged: name != ""}
		if options != "" {
			field.Options = strings.Split(options, ",")
		}
		all = append(all, field)
		if e.times > 1 {
			all = append(all, field) // they cancel each other out
		}
	}
	return all, next
}

// valid reports whether encoding/json takes a name from a tag.
func valid(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}
