package jsonfields

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type (
	base  struct{ ID, Name string }
	Base  struct{ ID, Name string }
	Other struct{ Name, More string }
	Deep  struct{ *Base }
	Note  struct{ Note string }
	Word  string
	word  string
	Loop  struct {
		*Loop
		A string
	}
	TaggedName struct {
		Called string `json:"Name"`
	}
	Twice1  struct{ Base }
	Twice2  struct{ Base }
	Numbers []int
)

// The fields are those that encoding/json writes.
func TestOfIsAsEncodingJSON(t *testing.T) {
	for _, v := range []any{
		struct{ A, b string }{},
		struct {
			A string `json:"a"`
			B string `json:"-"`
			C string `json:"-,"` //nolint:staticcheck // that is the case
			D string `json:",omitempty"`
			E string `json:"e'"` //nolint:staticcheck // that is the case
			F string `json:"ü/x"`
		}{D: "x"},
		struct {
			Base
			X int
		}{},
		struct {
			base
			X int
		}{},
		struct {
			Note
			X int
		}{},
		struct {
			*Note
			X int
		}{Note: &Note{}},
		struct {
			Base `json:"base"`
			X    int
		}{},
		struct {
			Base `json:",omitempty"`
		}{},
		struct {
			Base
			Other
		}{},
		struct {
			Base
			Other
			Name int
		}{},
		struct {
			Base
			TaggedName
		}{},
		struct {
			Base
			N1 string `json:"Name"`
		}{},
		twice(),
		struct {
			N  string
			N2 string `json:"N"`
		}{},
		struct {
			Deep
			Other
		}{Deep: Deep{&Base{}}},
		struct {
			Twice1
			Twice2
			X int
		}{},
		struct {
			Word
			word
			Numbers
		}{},
		struct {
			*Word
		}{Word: new(Word)},
		struct{ time.Duration }{},
		Loop{Loop: &Loop{}},
	} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(raw, &members); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for name := range members {
			want = append(want, name)
		}
		for _, f := range Of(reflect.TypeOf(v)) {
			got = append(got, f.JSON)
		}
		order := slices.Clone(got)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%T: %q, and encoding/json has %s", v, got, raw)
		}
		at := -1
		for _, name := range order {
			i := strings.Index(string(raw), `"`+name+`":`)
			if i < at {
				t.Errorf("%T: %q, and encoding/json has the order %s", v, order, raw)
			}
			at = i
		}
	}
}

// twice is a struct with two fields of one name in JSON, which vet does not let stand.
func twice() any {
	text := reflect.TypeFor[string]()
	return reflect.Zero(reflect.StructOf([]reflect.StructField{{Name: "A", Type: text, Tag: `json:"x"`},
		{Name: "B", Type: text, Tag: `json:"x"`}, {Name: "C", Type: text}})).Interface()
}

// What a nil pointer leads to is marked: it need not be there.
func TestBehind(t *testing.T) {
	var behind []string
	for _, f := range Of(reflect.TypeFor[struct {
		Deep
		Note
		X *int `json:",omitempty"`
	}]()) {
		if f.Behind {
			behind = append(behind, f.JSON)
		}
		if f.JSON == "X" && !slices.Equal(f.Options, []string{"omitempty"}) {
			t.Errorf("%q", f.Options)
		}
	}
	if !slices.Equal(behind, []string{"ID", "Name"}) {
		t.Errorf("%q", behind)
	}
}
