package agent

import (
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// inFieldOrder walks props, the properties of t's schema, in the order in which t declares them: a
// schema's map has lost it. What is not a plain field of t follows by name.
func inFieldOrder[V any](t reflect.Type, props map[string]V) iter.Seq2[string, V] {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var names []string
	if t.Kind() == reflect.Struct {
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = f.Name
			}
			if _, ok := props[name]; ok && !slices.Contains(names, name) {
				names = append(names, name)
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
