package codec

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// A member with a value that official clients refuse the whole list for is taken out, and told.
func TestUnknownValuesOfDefinitions(t *testing.T) {
	for _, tt := range []struct{ in, want, told string }{
		{`{"name":"n","icons":[{"src":"a"},{"theme":"blue","src":"b"}],"x":1}`,
			`{"name":"n","icons":[{"src":"a"},{"src":"b"}],"x":1}`,
			`in its icons: its theme is "blue", not light or dark`},
		{`{"name":"n","execution":{"taskSupport":"maybe"}}`, `{"name":"n","execution":{}}`,
			`in its execution: its taskSupport is "maybe", not required, optional or forbidden`},
		{`{"uri":"x:y","annotations":{"audience":["user","robot"],"priority":0.5}}`,
			`{"uri":"x:y","annotations":{"priority":0.5}}`,
			`in its annotations: its audience is ["user","robot"], not a list of user and assistant`},
		{`{"uri":"x:y","annotations":{"priority":10}}`, `{"uri":"x:y","annotations":{}}`,
			"in its annotations: its priority is 10, not a number from 0 to 1"},
		{`{"uri":"x:y","annotations":{"lastModified":"2026-01-31"}}`, `{"uri":"x:y","annotations":{}}`,
			`in its annotations: its lastModified is "2026-01-31", not a time such as 2026-01-31T12:00:00Z`},
		{`{"uri":"x:y","annotations":{"lastModified":"2026-01-31T12:00:00.5+01:00","priority":1,"audience":[]}}`, "", ""},
	} {
		var told []string
		odd := func(what string) { told = append(told, what) }
		want := tt.want
		if want == "" {
			want = tt.in
		}
		tool, err := ReadTool([]byte(strings.Replace(tt.in, `"uri":"x:y"`, `"name":"n"`, 1)), odd)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
		}
		got := tool.Raw
		if strings.Contains(tt.in, "uri") {
			told = nil
			r, err := ReadResource([]byte(tt.in), odd)
			if err != nil {
				t.Errorf("%s: %v", tt.in, err)
			}
			got = r.Raw
		}
		if string(got) != want || strings.Join(told, "; ") != tt.told {
			t.Errorf("%s became %s, and %q is told", tt.in, got, told)
		}
	}
}

// Annotations with such values cost a block of a result nothing but themselves.
func TestUnknownValuesOfBlocks(t *testing.T) {
	res, err := DecodeToolResult([]byte(`{"content":[{"type":"text","text":"x",`+
		`"annotations":{"audience":["robot"],"priority":1,"lastModified":"soon"}}]}`), false)
	const want = `{"content":[{"type":"text","text":"x","annotations":{"priority":1}}]}`
	if err != nil || string(res.Raw) != want {
		t.Errorf("%v, %s", err, res.Raw)
	}
}

// Official clients refuse a completion of more than 100 values, as MCP has it.
func TestManyCompletions(t *testing.T) {
	for n, more := range map[int]string{100: `,"x":1`, 101: `,"x":1,"hasMore":true`} {
		values := make([]json.RawMessage, n)
		for i := range values {
			values[i] = jsonedit.String(fmt.Sprint(i))
		}
		res, err := ReadCompleteResult(fmt.Appendf(nil, `{"completion":{"values":%s,"x":1}}`, jsonedit.Array(values)))
		want := fmt.Sprintf(`{"completion":{"values":%s%s}}`, jsonedit.Array(values[:100]), more)
		if err != nil || string(res.Raw) != want || strings.Count(string(res.Structured), ",") < 99 {
			t.Errorf("%d values: %v, %s, %s", n, err, res.Raw, res.Structured)
		}
	}
}
