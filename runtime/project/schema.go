package project

import (
	_ "embed" // the schema
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

//go:embed schema.json
var schema string

// Schema returns the JSON schema of a project file, for editors: names, types, bounds, defaults and
// a sentence for each key. It cannot know what keys demand of each other, as [Load] does.
func Schema() string { return schema }

// A KeyInfo is a key of the project file, as it is declared.
type KeyInfo struct {
	// Path is the key with those around it: agents.NAME.timeout. NAME, TOPIC and TOOL stand for
	// what the user names.
	Path string
	// Type is what its value is: text, number, factor, duration, size, yes or no, list, mapping.
	Type string
	// Default, Min and Max are values as they are written; "" is none.
	Default, Min, Max string
	// Words are those that it can be, if it is one of some.
	Words []string
	// Off: it can be off.
	Off bool
	// Only is for which agents it is; "" for all.
	Only string
	// Inherits are the keys whose value it has when it is left out, the nearest first.
	Inherits []string
	// Secret: nobody is shown its value.
	Secret bool
	// Meaning is what its declaration says: some sentences.
	Meaning string
}

// Keys are the keys of the project file with a value of their own, in the order of their
// declaration.
func Keys() []KeyInfo {
	said := meanings()
	var out []KeyInfo
	walk("", reflect.TypeFor[Config](), func(path string, section reflect.Type, k *key) {
		info := KeyInfo{Path: path, Type: typeName(k.typ), Words: k.words, Off: k.canOff,
			Secret: k.secret, Meaning: said[section.Name()+"."+k.name]}
		for from, to := range map[*reflect.Value]*string{&k.def: &info.Default, &k.min: &info.Min, &k.max: &info.Max} {
			if from.IsValid() {
				*to = valueText(*from)
			}
		}
		if k.only != "" {
			info.Only = audiences[k.only].who
		}
		out = append(out, info)
	})
	inheritance(out)
	return out
}

// inheritance notes the levels of policies: see [Policy].
func inheritance(all []KeyInfo) {
	known := map[string]bool{}
	for _, k := range all {
		known[k.Path] = true
	}
	for i, k := range all {
		own, ofTool := strings.CutPrefix(k.Path, "agents.NAME.tools.TOOL.")
		own, ofAgent := strings.CutPrefix(own, "agents.NAME.")
		if !known["defaults."+own] || !ofTool && !ofAgent {
			continue
		}
		if ofTool {
			all[i].Inherits = append(all[i].Inherits, "agents.NAME."+own)
		}
		all[i].Inherits = append(all[i].Inherits, "defaults."+own)
	}
}

// names stand in the documentation for what a user names.
var names = map[string]string{"agents": "NAME", "events": "TOPIC", "tools": "TOOL"}

// walk visits the keys of a section and below.
func walk(path string, section reflect.Type, visit func(path string, section reflect.Type, k *key)) {
	for i := range declared.section(section).keys {
		k := &declared.section(section).keys[i]
		at := strings.TrimPrefix(path+"."+k.name, ".")
		below, elem := at, k.typ
		if elem.Kind() == reflect.Map && elem.Elem().Kind() == reflect.Struct {
			below, elem = at+"."+names[k.name], elem.Elem()
		}
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if elem.Kind() != reflect.Struct || k.canOff {
			visit(at, section, k)
		}
		if elem.Kind() == reflect.Struct {
			walk(below, elem, visit)
		}
	}
}

// typeName is what the documentation calls a type.
func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == durationType:
		return "duration"
	case t == sizeType:
		return "size"
	}
	return map[reflect.Kind]string{reflect.String: "text", reflect.Int: "number", reflect.Float64: "factor",
		reflect.Bool: "yes or no", reflect.Slice: "list", reflect.Map: "mapping", reflect.Struct: "mapping"}[t.Kind()]
}

// meanings are the sentences of the schema, which are made from the declarations: by struct and
// key.
var meanings = sync.OnceValue(func() map[string]string {
	type object struct {
		Properties map[string]struct{ Description string }
	}
	var s struct {
		object
		Definitions map[string]object
	}
	if json.Unmarshal([]byte(schema), &s) != nil {
		return nil // a test decodes what is built in
	}
	s.Definitions[reflect.TypeFor[Config]().Name()] = s.object
	out := map[string]string{}
	for section, o := range s.Definitions {
		for name, p := range o.Properties {
			out[section+"."+name] = p.Description
		}
	}
	return out
})
