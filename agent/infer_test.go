package agent

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

type (
	Note   struct{ Note string }
	Author struct {
		Name string `json:"name" jsonschema:"who wrote it"`
		Mail string `json:"mail,omitempty"`
	}
	Signed struct {
		*Author
		Key string `json:"key"`
	}
	inner  struct{ Hidden int }
	Letter string
)

// The members of a struct's schema are those that encoding/json reads: also where it embeds others.
func TestSchemasOfEmbeddedStructs(t *testing.T) {
	for _, tt := range []struct {
		in              any
		members, needed string
		valid, invalid  []string
	}{
		{struct {
			Note
			X int
		}{}, "Note,X", "Note,X", []string{`{"Note":"a","X":1}`}, []string{`{"X":1}`, `{"Note":{"Note":"a"},"X":1}`}},
		{struct {
			Author
			Name int `json:"name"`
		}{}, "mail,name", "name", []string{`{"name":1}`}, []string{`{"name":"a"}`}},
		{struct {
			Author `json:"author"`
		}{}, "author", "author", []string{`{"author":{"name":"a"}}`}, []string{`{"name":"a"}`}},
		{Signed{}, "key,mail,name", "key", []string{`{"key":"k"}`, `{"key":"k","name":"a"}`}, []string{`{"name":"a"}`}},
		{struct {
			Signed
			Letter
			inner
		}{}, "Hidden,Letter,key,mail,name", "Hidden,Letter,key", []string{`{"Hidden":1,"Letter":"l","key":"k"}`},
			[]string{`{"inner":{"Hidden":1},"Letter":"l","key":"k"}`}},
		{twice(), "C", "C", []string{`{"C":"c"}`}, []string{`{"C":"c","x":"a"}`}},
		{struct {
			All []map[string]*struct {
				Note
				Y int `json:",omitempty"`
			}
		}{}, "All", "All", []string{`{"All":[{"a":{"Note":"n"}}]}`, `{"All":[{"a":null}]}`},
			[]string{`{"All":[{"a":{"Y":1}}]}`}},
	} {
		typ := reflect.TypeOf(tt.in)
		i := inferInput(typ)
		if i.err != nil || i.checkErr != nil {
			t.Fatalf("%s: %v, %v", typ, i.err, i.checkErr)
		}
		var s struct {
			Properties map[string]json.RawMessage
			Required   []string
		}
		if err := json.Unmarshal(i.schema, &s); err != nil {
			t.Fatal(err)
		}
		var members []string
		for name := range s.Properties {
			members = append(members, name)
		}
		slices.Sort(members)
		slices.Sort(s.Required)
		if strings.Join(members, ",") != tt.members || strings.Join(s.Required, ",") != tt.needed {
			t.Errorf("%s: %s, %s of %s", typ, members, s.Required, i.schema)
		}
		for _, in := range tt.valid {
			if err := i.check(json.RawMessage(in)); err != nil {
				t.Errorf("%s: %s: %v", typ, in, err)
			}
			if err := json.Unmarshal([]byte(in), reflect.New(typ).Interface()); err != nil {
				t.Errorf("%s: %s: %v", typ, in, err)
			}
		}
		for _, in := range tt.invalid {
			if i.check(json.RawMessage(in)) == nil {
				t.Errorf("%s: %s is taken", typ, in)
			}
		}
	}
	if s := string(inferInput(reflect.TypeFor[Signed]()).schema); !strings.Contains(s, "who wrote it") {
		t.Errorf("no description: %s", s)
	}
	type recursive struct {
		Note
		Next []recursive
	}
	if i := inferInput(reflect.TypeFor[recursive]()); i.err == nil || !strings.Contains(i.err.Error(), "cycle") ||
		strings.Contains(i.err.Error(), "F0") {
		t.Errorf("a recursive type: %v", i.err)
	}
}

// twice is a struct with two fields of one name in JSON, which vet does not let stand.
func twice() any {
	text := reflect.TypeFor[string]()
	return reflect.Zero(reflect.StructOf([]reflect.StructField{{Name: "A", Type: text, Tag: `json:"x"`},
		{Name: "B", Type: text, Tag: `json:"x"`}, {Name: "C", Type: text}})).Interface()
}

// multipleOf counts in decimals, as people do.
func TestMultiplesOfFractions(t *testing.T) {
	check, err := compileSchema(json.RawMessage(`{"type":"object","properties":{"price":{"multipleOf":0.1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := check(json.RawMessage(`{"price":0.3}`)); err != nil {
		t.Error(err)
	}
	want := "invalid input: price: multipleOf: 0.35 is not a multiple of 0.1"
	if err := check(json.RawMessage(`{"price":0.35}`)); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
