package multipleof

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

func TestTake(t *testing.T) {
	const price = `{"type":"object","properties":{"price":{"type":"number","multipleOf":0.1}}}`
	const nested = `{"type":"object","properties":{"rows":{"type":"array","prefixItems":[{},{"multipleOf":0.01}],
		"items":{"type":"object","additionalProperties":{"multipleOf":0.25}}},"a/b":{"allOf":[{"multipleOf":1e-7}]}},
		"additionalProperties":{"multipleOf":0.5}}`
	for _, tt := range []struct{ schema, value, want string }{
		{price, `{"price":0.3}`, ""},
		{price, `{"price":-1234567.8}`, ""},
		{price, `{"price":0}`, ""},
		{price, `{"price":1e22}`, ""},
		{price, `{}`, ""},
		{price, `{"price":0.35}`, "validating /properties/price: multipleOf: 0.35 is not a multiple of 0.1"},
		{nested, `{"rows":["x",0.07,{"a":0.75},{"b":"x"}],"a/b":0.0000003,"c":1.5}`, ""},
		{nested, `{"rows":["x",0.075]}`,
			"validating /properties/rows/prefixItems/1: multipleOf: 0.075 is not a multiple of 0.01"},
		{nested, `{"rows":["x",0,{"a":0.7}]}`,
			"validating /properties/rows/items/additionalProperties: multipleOf: 0.7 is not a multiple of 0.25"},
		{nested, `{"a/b":1e-8}`, "validating /properties/a~1b: multipleOf: 1e-08 is not a multiple of 1e-07"},
		{nested, `{"c":0.2}`, "validating /additionalProperties: multipleOf: 0.2 is not a multiple of 0.5"},
	} {
		var s jsonschema.Schema
		var v any
		if json.Unmarshal([]byte(tt.schema), &s) != nil || json.Unmarshal([]byte(tt.value), &v) != nil {
			t.Fatal(tt)
		}
		check := Take(&s)
		r, err := s.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Validate(v); err != nil {
			t.Errorf("%s: the rest: %v", tt.value, err)
		}
		if got := check(v); fmt.Sprint(got) != tt.want && (got != nil || tt.want != "") {
			t.Errorf("%s: %v, want %q", tt.value, got, tt.want)
		}
	}
	for _, whole := range []string{`{"multipleOf":5}`, `{"anyOf":[{"multipleOf":0.1}]}`, `true`, `false`} {
		var s jsonschema.Schema
		if err := json.Unmarshal([]byte(whole), &s); err != nil {
			t.Fatal(err)
		}
		if Take(&s) != nil {
			t.Errorf("%s: it is the library's", whole)
		}
	}
}
