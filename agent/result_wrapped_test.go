package agent

import (
	"encoding/json"
	"reflect"
	"testing"
)

// What a server's SDK makes of a tool's result must not decide what a caller's Ask gets.
func TestDecodeUnwraps(t *testing.T) {
	texts := func(ss ...string) []Content {
		var out []Content
		for _, s := range ss {
			out = append(out, Text(s))
		}
		return out
	}
	for name, c := range map[string]struct {
		structured string
		content    []Content
		want       any
	}{
		"JSON in a string": {`{"result":"{\"echoed\": 5}"}`, texts(`{"echoed": 5}`),
			map[string]any{"echoed": 5.0}},
		"a string": {`{"result":"done"}`, texts("done"), "done"},
		"a number": {`{"result":3}`, texts("3.0"), 3.0},
		"a list": {`{"result":[1,"two",{"k":null}]}`, texts("1", "two", `{ "k": null }`),
			[]any{1.0, "two", map[string]any{"k": nil}}},
		"a list of one":                     {`{"result":["one"]}`, texts("one"), []any{"one"}},
		"an empty list":                     {`{"result":[]}`, nil, []any{}},
		"nothing":                           {`{"result":null}`, nil, nil},
		"an object with that member":        {`{"result":5}`, texts(`{"result":5}`), map[string]any{"result": 5.0}},
		"an object with that member, alone": {`{"result":5}`, nil, map[string]any{"result": 5.0}},
		"and others": {`{"result":5,"more":1}`, texts("5"),
			map[string]any{"result": 5.0, "more": 1.0}},
		"other text":     {`{"result":5}`, texts("five"), map[string]any{"result": 5.0}},
		"another number": {`{"result":5}`, texts("6"), map[string]any{"result": 5.0}},
		"another string": {`{"result":"x"}`, texts("y"), map[string]any{"result": "x"}},
		"no text":        {`{"result":5}`, texts(""), map[string]any{"result": 5.0}},
		"text for null":  {`{"result":null}`, texts("nothing"), map[string]any{"result": nil}},
		"another list":   {`{"result":[1,2]}`, texts("1", "3"), map[string]any{"result": []any{1.0, 2.0}}},
		"an image":       {`{"result":"x"}`, []Content{Image(nil, "image/png")}, map[string]any{"result": "x"}},
		"a shorter list": {`{"result":[1,2]}`, texts("1", "2", "3"), map[string]any{"result": []any{1.0, 2.0}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Result{Structured: json.RawMessage(c.structured), Content: c.content}
			var got any
			if err := r.Decode(&got); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v %v, want %v", got, err, c.want)
			}
			var raw json.RawMessage
			if err := r.Decode(&raw); err != nil || string(raw) != c.structured {
				t.Errorf("raw: %s %v", raw, err)
			}
		})
	}
}
