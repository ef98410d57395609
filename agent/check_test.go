package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
		`{"type":"string","minLength":2,"maxLength":3}`, `{"type":"array","minItems":1,"maxItems":2}`,
		`{"type":"integer"}`,
		`{"type":"boolean"}`, `{}`, `{"type":"object","properties":{"/":{"type":"string"}}}`,
	}
	uncheckedSchemas = []string{
		`{"type":"object","properties":{"s":{"type":"string","pattern":"^a"}}}`,
		`{"type":"object","required":["elsewhere"]}`, `{"type":"object","minProperties":1}`,
		`{"enum":[]}`, `{"type":"array","items":{"const":1}}`, `{"additionalProperties":{"const":1}}`,
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
	`{"z":123456789012345678}`, `{"a":["a"`, `{"`, `{"msg"`, `{"msg":`,
	`true`, `false`, `"ab"`, `"abcd"`, `[1,2]`, `[1,2,3]`, `12`, `"\"\\\/\b\f\n\r\t"`, `"\u0041b"`,
	`{"\/":1}`, `{"/":"a"}`}

// damaged calls f with all that one wrong, missing or added byte makes of in, and with its
// beginnings.
func damaged(in string, f func([]byte)) {
	for i := range len(in) {
		f([]byte(in[:i]))
		f([]byte(in[:i] + in[i+1:]))
		for _, c := range []byte("{}[]\",:\\0-.e9atn \x1f\xc3") {
			f(append(append([]byte(in[:i]), c), in[i+1:]...))
			f(append(append([]byte(in[:i]), c), in[i:]...))
		}
	}
}

func TestCheckAcceptsOnlyWhatIsValid(t *testing.T) {
	for _, raw := range checkedSchemas {
		j := judge(t, raw)
		if j.quick == nil {
			t.Errorf("%s has no check", raw)
			continue
		}
		for _, in := range checkInputs {
			j.verify(t, []byte(in))
			damaged(in, func(b []byte) { j.verify(t, b) })
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
		{checkedSchemas[2], `{"msg":"","n":9}`}, {checkedSchemas[2], `{"msg":"","x":1.00000000000001}`},
		{checkedSchemas[2], `{"msg":"","x":-1.0000000000001}`}, {checkedSchemas[2], `{"msg":"","x":0.5}`},
		{checkedSchemas[3], `{"a":null}`}, {checkedSchemas[3], `{"a":["ab","c"]}`},
		{checkedSchemas[7], `"ab"`}, {checkedSchemas[7], `"äöü"`}, {checkedSchemas[7], `"\"\n"`},
		{checkedSchemas[8], `[0]`}, {checkedSchemas[8], `[ 1 , 2 ]`},
		{checkedSchemas[10], `true`}, {checkedSchemas[10], ` false `}, {checkedSchemas[11], `null`},
		{checkedSchemas[11], `[]`}, {checkedSchemas[11], `{"a":{},"b":"","c":0}`},
	} {
		if !judge(t, c.schema).quick.accepts([]byte(c.in)) {
			t.Errorf("%s: %s was not accepted", c.schema, c.in)
		}
	}
}

// A schema that nests deeper than values may, or has more members than there are bits, has no
// check, and a value that nests deeper is not accepted.
func TestChecksAreBounded(t *testing.T) {
	nested := func(inner string, n int, around string) string {
		return strings.Repeat(around, n) + inner + strings.Repeat("}", n*strings.Count(around, "{"))
	}
	for _, around := range []string{`{"items":`, `{"additionalProperties":`, `{"properties":{"a":`} {
		for n, has := range map[int]bool{maxCheckDepth - 1: true, maxCheckDepth: false} {
			if got := judge(t, nested(`{"type":"null"}`, n, around)).quick != nil; got != has {
				t.Errorf("%d times %s: check %v", n, around, got)
			}
		}
	}
	members := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"m%d":{"type":"integer"}`, i))
		}
		return `{"properties":{` + strings.Join(all, ",") + `},"required":["m0","m` + fmt.Sprint(n-1) + `"]}`
	}
	for n, has := range map[int]bool{maxMembers: true, maxMembers + 1: false} {
		j := judge(t, members(n))
		if got := j.quick != nil; got != has {
			t.Errorf("%d members: check %v", n, got)
		}
		if has && (!j.quick.accepts([]byte(`{"m63":1,"m0":2}`)) || j.quick.accepts([]byte(`{"m63":1}`))) {
			t.Errorf("of %d members the first and the last are required", n)
		}
	}
	all := judge(t, `{}`).quick
	for n, want := range map[int]bool{maxCheckDepth: true, maxCheckDepth + 1: false} {
		for _, in := range []string{strings.Repeat("[", n) + "0" + strings.Repeat("]", n),
			strings.Repeat(`{"a":`, n) + "0" + strings.Repeat("}", n)} {
			if got := all.accepts([]byte(in)); got != want {
				t.Errorf("%d levels of %.5s: accepted %v", n, in, got)
			}
		}
	}
	for in, want := range map[string]bool{"999999999999999": true, "1000000000000000": false, "1.000000000000001": true,
		"1.0000000000000001": false, "-1.00000000000001": true, "-1.000000000000001": false} {
		if got := all.accepts([]byte(in)); got != want {
			t.Errorf("%s: accepted %v", in, got)
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
