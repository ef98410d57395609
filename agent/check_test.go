package agent

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// checkedSchemas are those that a check has; the second list has none.
var (
	checkedSchemas = []string{
		`{"type":"object"}`, `{"type":"object","additionalProperties":false}`,
		`{"type":"object","properties":{"msg":{"type":"string"},"n":{"type":"integer","minimum":-3,"maximum":9},"x":{"type":"number"}},"required":["msg"],"additionalProperties":false}`,
		`{"type":"object","properties":{"a":{"type":["null","array"],"items":{"type":"string","minLength":1,"maxLength":2},"minItems":1,"maxItems":2}},"additionalProperties":{"type":"boolean"}}`,
		`{"type":"object","properties":{"kind":{"type":"string","enum":["one","two",""]},"any":{"description":"any JSON value"},"deep":{"type":"object","properties":{"a":{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}}}}}`,
		`{"type":"object","properties":{"data":{"type":"string","contentEncoding":"base64"},"k":{"enum":["a"]},"m":{"type":"number","maximum":0.5}}}`,
		`{"type":"object","properties":{"y":true,"z":{"type":"integer"}}}`,
	}
	uncheckedSchemas = []string{
		`{"type":"object","properties":{"s":{"type":"string","pattern":"^a"}}}`,
		`{"type":"object","required":["elsewhere"]}`, `{"type":"object","minProperties":1}`,
		`{"type":"object","properties":{"s":{"const":1}}}`, `{"type":"object","properties":{"s":{"enum":[1]}}}`,
		`{"type":"object","oneOf":[{"required":["a"]}]}`,
		`{"type":"object","properties":{"s":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"string"}}}`,
		`{"type":"object","properties":{"x":false}}`, `{"type":"object","patternProperties":{"^a":{"type":"string"}}}`,
	}
)

type judged struct {
	raw   string
	quick *check
	full  *jsonschema.Resolved
}

func judge(t testing.TB, raw string) judged {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	full, err := s.Resolve(nil)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return judged{raw, newCheck(&s), full}
}

// verify fails if the check accepts what jsonschema-go, or encoding/json, refuses.
func (j judged) verify(t *testing.T, in []byte) {
	t.Helper()
	if !j.quick.accepts(in) {
		return
	}
	var v any
	if err := json.Unmarshal(in, &v); err != nil {
		t.Errorf("%q was accepted: %v", in, err)
	} else if err := j.full.Validate(v); err != nil {
		t.Errorf("%s: %q was accepted: %v", j.raw, in, err)
	}
}

var checkInputs = []string{`{}`, `{"msg":"a"}`, ` { "msg" : "a\n" , "n" : 9 } `, `{"msg":"a","n":10}`,
	`{"msg":"a","n":-3.0}`, `{"msg":"a","x":1.25}`, `{"msg":"a","x":1e3}`, `{"msg":"a","msg":1}`,
	`{"msg":1}`, `{"MSG":"a"}`, `{"a":null}`, `{"a":[]}`, `{"a":["é","ab"]}`, `{"a":["abc"]}`, `{"a":["a","b","c"]}`,
	`{"b":true}`, `{"b":1}`, `{"kind":"one","any":[1,{"x":[]}]}`, `{"kind":"three"}`,
	`{"kind":"\u006fne"}`, `{"deep":{"a":{"a":null}}}`, `{"deep":{"a":{}}}`, `{"data":"AAA="}`, `{"k":"a"}`,
	`{"m":0.25}`, `{"m":1}`, `{"x":1}`, `{"y":1,"z":01}`, `{"z":-0}`, `{"z":-}`, `{"z":1.}`, `[]`, `null`,
	`{"msg":"a",}`, `{"msg":"a"} x`, "{\"msg\":\"\xff\"}", "{\"msg\":\"\x01\"}", `{"msg":"\ud800"}`,
	`{"z":123456789012345678}`, `{"a":["a"`, `{"`, `{"msg"`, `{"msg":`}

func TestCheckAcceptsOnlyWhatIsValid(t *testing.T) {
	for _, raw := range checkedSchemas {
		j := judge(t, raw)
		if j.quick == nil {
			t.Errorf("%s has no check", raw)
			continue
		}
		for _, in := range checkInputs {
			j.verify(t, []byte(in))
		}
	}
	for _, raw := range uncheckedSchemas {
		if judge(t, raw).quick != nil {
			t.Errorf("%s has a check", raw)
		}
	}
}

func TestCheckAcceptsWhatIsUsual(t *testing.T) {
	for _, c := range []struct{ schema, in string }{
		{checkedSchemas[0], `{"a":[1,2.5,"x",{"b":null}],"c":true}`},
		{checkedSchemas[2], `{"msg":"grüß \"dich\"\n","n":-3,"x":-1.5}`}, {checkedSchemas[3], `{"a":["é"],"b":false}`},
		{checkedSchemas[4], ` {"kind" : "" , "any":{} } `}, {checkedSchemas[5], `{"m":0}`},
		{checkedSchemas[6], `{"y":[],"z":999999999999999}`},
	} {
		if !judge(t, c.schema).quick.accepts([]byte(c.in)) {
			t.Errorf("%s: %s was not accepted", c.schema, c.in)
		}
	}
}

// TestInferredSchemasHaveChecks: the schemas of ordinary Go types are what the check is for.
func TestInferredSchemasHaveChecks(t *testing.T) {
	type inner struct {
		Tags []string          `json:"tags,omitempty"`
		Data []byte            `json:"data,omitempty"`
		More map[string]int    `json:"more,omitempty"`
		Opt  *float64          `json:"opt,omitempty"`
		Raw  json.RawMessage   `json:"raw,omitempty"`
		Any  map[string]any    `json:"any,omitempty"`
		List []map[string]bool `json:"list,omitempty"`
	}
	tool := NewTool("t", "", func(_ context.Context, _ struct {
		Name  string `json:"name" jsonschema:"a name"`
		Count int    `json:"count"`
		Inner inner  `json:"inner"`
	}) (string, error) {
		return "", nil
	})
	j := judge(t, string(tool.Info().InputSchema))
	in := `{"name":"n","count":3,"inner":{"tags":["a"],"data":"AAA=","more":{"k":1},"opt":null,"raw":[1],"any":{"x":null},"list":[{"y":true}]}}`
	if j.quick == nil || !j.quick.accepts([]byte(in)) {
		t.Errorf("%s: check %v", j.raw, j.quick != nil)
	}
	j.verify(t, []byte(in))
}

func FuzzCheck(f *testing.F) {
	var all []judged
	for i, raw := range checkedSchemas {
		all = append(all, judge(f, raw))
		for _, in := range checkInputs {
			f.Add(byte(i), []byte(in))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, in []byte) { all[int(which)%len(all)].verify(t, in) })
}

func BenchmarkCheck(b *testing.B) {
	j := judge(b, checkedSchemas[2])
	in := []byte(`{"msg":"hello, agent number forty-two"}`)
	b.Run("quick", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !j.quick.accepts(in) {
				b.Fatalf("%s was not accepted", in)
			}
		}
	})
	b.Run("full", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if err := json.Unmarshal(in, &v); err != nil {
				b.Fatal(err)
			}
			if err := j.full.Validate(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
