package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/mcp/internal/schema"
)

func TestInput(t *testing.T) {
	var c schema.Checker
	for _, tt := range []struct{ name, in, want string }{
		{"right", `{"type":"object","properties":{"a":{"minimum":12345678901234567890.00}}, "x-own": [1]}`, ""},
		{"right, another draft",
			`{"$schema":"http://json-schema.org/draft-04/schema#","type":"object","properties":{"a":{"minimum":1,"exclusiveMinimum":true}}}`, ""},
		{"right, a draft that is not known", `{"$schema":"https://example.org/mine","type":"object"}`, ""},
		{"right, a pattern that Go does not know", `{"type":"object","properties":{"a":{"pattern":"^(?!x)"}}}`, ""},
		{"right, a keyword for a name",
			`{"type":"object","properties":{"required":{"type":"boolean"},"properties":{"type":"object"}}}`, ""},
		{"right, booleans inside", `{"type":"object","additionalProperties":false,"properties":{"a":{"items":true}}}`,
			""},

		{"a number that clients cannot read", `{"type":"object","properties":{"a":{"minimum":1e999}}}`,
			`{"type":"object"}`},

		{"missing", ``, `{"type":"object"}`},
		{"null", `null`, `{"type":"object"}`},
		{"list", `[]`, `{"type":"object"}`},
		{"text", `"{}"`, `{"type":"object"}`},
		{"true", `true`, `{"type":"object"}`},
		{"no type", `{"properties":{"a":{}}}`, `{"properties":{"a":{}},"type":"object"}`},
		{"another type", `{"type":["object","null"]}`, `{"type":"object"}`},
		{"PHP", `{"type":"object","properties":[],"required":[]}`, `{"type":"object","properties":{},"required":[]}`},
		{"PHP, spaced", `{"type":"object","properties":[ ]}`, `{"type":"object","properties":{}}`},
		{"PHP, inside", `{"type":"object","properties":{"a":{"type":"object","properties":[],"n":1.0},"b":[]}}`,
			`{"type":"object","properties":{"a":{"type":"object","properties":{},"n":1.0},"b":{}}}`},
		{"PHP, a list with a gap",
			`{"type":"object","properties":{"a":{"enum":{"1":"x","3":"y"}}},"required":{"0":"a"}}`,
			`{"type":"object","properties":{"a":{"enum":["x","y"]}},"required":["a"]}`},
		{"null for what is missing",
			`{"type":"object","properties":null,"required":null,"description":null,"$defs":null,"additionalProperties":null}`,
			`{"type":"object"}`},
		{"null for a schema", `{"type":"object","properties":{"a":null,"b":{"default":null,"items":null}}}`,
			`{"type":"object","properties":{"a":{},"b":{"default":null}}}`},
		{"required of a property",
			`{"type":"object","properties":{"a":{"type":"string","required":true},"b":{"required":false}}}`,
			`{"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["a"]}`},
		{"required, one name", `{"type":"object","properties":{"a":{}},"required":"a"}`,
			`{"type":"object","properties":{"a":{}},"required":["a"]}`},
		{"required, one bad", `{"type":"object","required":["a",1,"a",null]}`, `{"type":"object","required":["a"]}`},
		{"a property is a boolean", `{"type":"object","properties":{"a":true,"b":false}}`,
			`{"type":"object","properties":{"a":{},"b":{"not":{}}}}`},
		{"types of other languages",
			`{"type":"object","properties":{"a":{"type":"any"},"b":{"type":"str"},"c":{"type":"int"}}}`,
			`{"type":"object","properties":{"a":{},"b":{"type":"string"},"c":{"type":"integer"}}}`},
		{"draft 4 that does not say so",
			`{"type":"object","properties":{"a":{"minimum":1.0,"exclusiveMinimum":true},"b":{"maximum":2,"exclusiveMaximum":false}}}`,
			`{"type":"object","properties":{"a":{"exclusiveMinimum":1.0},"b":{"maximum":2}}}`},
		{"numbers in quotes", `{"type":"object","properties":{"a":{"minLength":"3","maximum":"1e3"}}}`,
			`{"type":"object","properties":{"a":{"minLength":3,"maximum":1e3}}}`},
		{"decoration", `{"type":"object","title":3,"properties":{"a":{"description":["x"]}}}`,
			`{"type":"object","properties":{"a":{}}}`},
		{"an empty choice", `{"type":"object","anyOf":[],"properties":{"a":{"oneOf":[null]}}}`,
			`{"type":"object","properties":{"a":{"oneOf":[{}]}}}`},
		{"a keyword for a name", `{"type":"object","properties":{"properties":{"type":"any","required":null}}}`,
			`{"type":"object","properties":{"properties":{}}}`},

		{"past repair", `{"type":"object","properties":"a, b"}`, `{"type":"object"}`},
		{"past repair, inside", `{"type":"object","properties":{"a":{"type":"strnig"}}}`, `{"type":"object"}`},
		{"no JSON", `{"type":`, `{"type":"object"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, what := c.Input(json.RawMessage(tt.in))
			want := tt.want
			if want == "" {
				want = tt.in
				if what != "" {
					t.Errorf("it is right, and: %s", what)
				}
			}
			if string(got) != want {
				t.Errorf("%s (%s)\nwant %s", got, what, want)
			}
			if again, what := c.Input(got); string(again) != string(got) || what != "" {
				t.Errorf("what was repaired is wrong: %s %s", again, what)
			}
		})
	}
	if _, what := c.Input(json.RawMessage(`{"type":"object","properties":{"a":{"type":"strnig"}}}`)); what == "" {
		t.Error("nothing is said about it")
	} else {
		t.Log(what)
	}
}

func TestOutput(t *testing.T) {
	var c schema.Checker
	for _, tt := range []struct{ name, in, want string }{
		{"right", `{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}}}`, "same"},
		{"of an array", `{"type":"array"}`, "same"},
		{"another draft", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","definitions":{"x":{}},"properties":{"a":{"$ref":"#/definitions/x"}}}`, "same"},
		{"a draft that is not known", `{"$schema":"https://example.org/mine","type":"object"}`, `{"type":"object"}`},
		{"draft 4", `{"$schema":"http://json-schema.org/draft-04/schema#","type":"object","definitions":{"x":{}}}`,
			`{"type":"object","definitions":{"x":{}}}`},
		{"missing", ``, ""},
		{"null", `null`, ""},
		{"text", `"x"`, ""},
		{"true", `true`, ""},
		{"PHP", `{"type":"object","properties":[]}`, `{"type":"object","properties":{}}`},
		{"not tightened", `{"type":"object","properties":{"a":{"required":true,"minimum":1,"exclusiveMinimum":true}}}`,
			`{"type":"object","properties":{"a":{"minimum":1}}}`},
		{"past repair", `{"type":"object","properties":{"a":{"type":"strnig"}}}`, ""},
		{"a reference to nothing", `{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}}}`, ""},
		{"references in a circle", `{"type":"object","properties":{"a":{"$ref":"#/$defs/a~1%7Bb%7D"}},
			"$defs":{"a/{b}":{"$ref":"#/$defs/c"},"c":{"$ref":"#/$defs/a~1%7Bb%7D"}}}`, ""},
		{"a reference to itself", `{"type":"object","properties":{"a":{"$ref":"#/properties/a"}}}`, ""},
		{"right, a tree", `{"type":"object","properties":{"a":{"$ref":"#"},"b":{"items":{"$ref":"#/properties/b"}}}}`,
			"same"},
		{"a reference to a meta-schema",
			`{"type":"object","properties":{"a":{"$ref":"https://json-schema.org/draft/2020-12/schema"}}}`, ""},
		{"an anchor that is none", `{"type":"object","$anchor":"1 bad"}`, ""},
		{"a reference to an anchor that is not there", `{"type":"object","not":{"$ref":"#x"}}`, ""},
		{"no choice", `{"type":"object","$defs":{"a":{"enum":[]}}}`, ""},
		{"the id of draft 4", `{"type":"object","anyOf":[{"id":"x"}]}`, ""},
		{"right, keywords for names", `{"type":"object","properties":{"id":{},"enum":{"const":[]},"nullable":{}}}`, "same"},
		{"nullable", `{"type":"object","properties":{"a":{"type":"string","nullable":true}}}`, "same"},
		{"nullable without a type", `{"type":"object","items":{"$ref":"#","nullable":true}}`, ""},
		{"nullable, in words", `{"type":"object","properties":{"a":{"type":"string","nullable":"yes"}}}`, ""},
		{"null, and not", `{"type":"object","properties":{"a":{"type":["string","null"],"nullable":false}}}`, ""},
		{"asynchronous", `{"type":"object","not":{"$async":true}}`, ""},
		{"a reference to elsewhere", `{"type":"object","properties":{"a":{"$ref":"https://example.org/x.json"}}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, what := c.Output(json.RawMessage(tt.in))
			want := tt.want
			if want == "same" {
				want = tt.in
			}
			if string(got) != want {
				t.Errorf("%s (%s)\nwant %s", got, what, want)
			}
			if want != tt.in && tt.in != "null" && what == "" {
				t.Error("nothing is said about it")
			}
			if strings.Contains(what, "tool:///") || strings.Contains(what, "metaschema") {
				t.Errorf("words of a library: %s", what)
			}
		})
	}
}

func FuzzInput(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"type":"any","required":true},"b":[]}}`))
	f.Add([]byte(`{"type":"object","properties":{"a":{"items":[null],"enum":{"0":1}}},"required":[1]}`))
	var c schema.Checker
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, _ := c.Input(raw)
		if again, what := c.Input(got); what != "" || !json.Valid(got) || string(again) != string(got) {
			t.Errorf("%s became %s: %s", raw, got, what)
		}
		if got, _ := c.Output(raw); got != nil {
			if _, what := c.Output(got); what != "" {
				t.Errorf("%s became the output %s: %s", raw, got, what)
			}
		}
	})
}

// What is remembered is what was found out, of inputs and of outputs apart.
func TestVerdictsAreRemembered(t *testing.T) {
	var c schema.Checker
	schemas := []string{`{"type":"object"}`, `{}`, `{"type":"array"}`, `null`, ``, `[]`,
		`{"type":"object","properties":[]}`, `{"type":"object","properties":{"a":{"type":"strnig"}}}`}
	for range 3 {
		for _, raw := range schemas {
			var fresh schema.Checker
			for kind, by := range map[string][2]func(json.RawMessage) (json.RawMessage, string){
				"input": {c.Input, fresh.Input}, "output": {c.Output, fresh.Output}} {
				got, gotWhat := by[0](json.RawMessage(raw))
				want, wantWhat := by[1](json.RawMessage(raw))
				if string(got) != string(want) || (got == nil) != (want == nil) || gotWhat != wantWhat {
					t.Errorf("%s %s: %s (%s), want %s (%s)", kind, raw, got, gotWhat, want, wantWhat)
				}
			}
		}
	}
	again := json.RawMessage(schemas[0])
	if n := testing.AllocsPerRun(10, func() { c.Input(again); c.Output(again) }); n > 0 {
		t.Errorf("%v allocations for a schema that is known", n)
	}
}
