package project

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// A key is one key of the project file. It is declared once, by the struct field that holds it:
//
//	// Instances on this host.
//	Replicas int `yaml:"replicas" default:"1" min:"1" max:"1024" only:"hosted"`
//
// The comment's first paragraph is what docs/reference/project-file.md and the JSON schema say of
// it. The tags are:
//
//	yaml      its name; ",inline" for the keys of a struct that stand among those around it
//	default   what it is when nobody says anything
//	min, max  the bounds of a number, duration or size, which is more than 0 in any case
//	off       it can be off: what it is then in Go, or for a section the key in it that is off
//	oneof     the words that it can be
//	only      the agents that it is for, see audiences, and after a semicolon why
//	secret    nobody is shown its value
//	inherit   the level that gives what is left out here, in place of a default
type key struct {
	name     string
	index    []int // for reflect.Value.FieldByIndex
	typ      reflect.Type
	def      reflect.Value // not valid: none
	min, max reflect.Value
	canOff   bool
	off      string
	words    []string
	only     string
	remark   string
	secret   bool
	inherit  bool
}

// A section is the keys of a struct, in the order of its fields.
type section struct {
	keys   []key
	byName map[string]*key
}

// A naming says how the keys of structs are found.
type naming struct {
	tag      string // the struct tag with the name
	inline   string // its option that takes an embedded struct apart
	untagged bool   // a field without the tag goes by its Go name; else it is no key
	fold     bool   // keys match whatever their case, as in encoding/json
	// declaration reads what else the tags say of a key. nil: nothing, as with structs that are not
	// ours, whose tags may be made for somebody else.
	declaration func(k *key, f reflect.StructField)
	sections    map[reflect.Type]*section
}

// declare reads the sections below a type, so that they can be looked up at the same time.
func (n *naming) declare(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || n.sections[t] != nil {
		return
	}
	for _, k := range n.section(t).keys {
		n.declare(k.typ)
	}
}

// section returns the keys of a struct.
func (n *naming) section(t reflect.Type) *section {
	if s := n.sections[t]; s != nil {
		return s
	}
	s := &section{keys: n.fields(t), byName: map[string]*key{}}
	for i := range s.keys {
		k := &s.keys[i]
		s.byName[k.name] = k
		if folded := strings.ToLower(k.name); n.fold && s.byName[folded] == nil {
			s.byName[folded] = k
		}
	}
	n.sections[t] = s
	return s
}

// find returns the key that a name means, or nil.
func (n *naming) find(s *section, name string) *key {
	k := s.byName[name]
	if k == nil && n.fold {
		k = s.byName[strings.ToLower(name)]
	}
	return k
}

func (n *naming) fields(t reflect.Type) []key {
	var out []key
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get(n.tag), ",")
		if f.Anonymous && f.Type.Kind() == reflect.Struct && (option == n.inline || n.untagged && name == "") {
			_, inherit := f.Tag.Lookup("inherit")
			for _, k := range n.fields(f.Type) {
				k.index, k.inherit = append([]int{i}, k.index...), inherit
				out = append(out, k)
			}
			continue
		}
		if name == "" && n.untagged {
			name = f.Name
		}
		if f.IsExported() && name != "" && name != "-" {
			k := key{name: name, index: []int{i}, typ: f.Type}
			if n.declaration != nil {
				n.declaration(&k, f)
			}
			out = append(out, k)
		}
	}
	return out
}

// orOff is what to do where a value is too small, and can be off.
func (k *key) orOff() string {
	if k == nil || !k.canOff {
		return ""
	}
	return "write off where it is not wanted"
}

// typeAt returns the type that a path leads to, or nil when it leads nowhere or into something
// untyped.
func (n *naming) typeAt(t reflect.Type, path []string) reflect.Type {
	for _, seg := range path {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Struct:
			k := n.find(n.section(t), seg)
			if k == nil {
				return nil
			}
			t = k.typ
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

// isQuantity reports whether the type is a number, a duration or a size.
func isQuantity(t reflect.Type) bool {
	number := t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64
	return number && (t.PkgPath() == "" || t == durationType || t == sizeType)
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsText reports whether a value of the type can be set from text by its own method.
func readsText(t reflect.Type) bool {
	return t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(textType)
}
