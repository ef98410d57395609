package wire

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestTraceHeaders(t *testing.T) {
	long := strings.Repeat("x", maxTraceHeader+1)
	for _, c := range []struct {
		meta    map[string]string
		baggage bool
		want    http.Header
	}{
		{nil, true, nil},
		{map[string]string{"other": "x", "baggage": "k=v"}, false, nil},
		{map[string]string{TraceParent: "p", TraceState: "s", Baggage: "k=v"}, false,
			http.Header{"Traceparent": {"p"}, "Tracestate": {"s"}}},
		{map[string]string{TraceParent: "p", Baggage: "k=v"}, true,
			http.Header{"Traceparent": {"p"}, "Baggage": {"k=v"}}},
		{map[string]string{TraceParent: "p", TraceState: "a\r\nX-Evil: 1", Baggage: "k=é"}, true,
			http.Header{"Traceparent": {"p"}}},
		{map[string]string{TraceParent: long, TraceState: long}, true, nil},
	} {
		if got := TraceHeaders(c.meta, c.baggage); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.meta, got, c.want)
		}
	}
}

func TestAddTraceHeaders(t *testing.T) {
	all := http.Header{"Traceparent": {"p"}, "Tracestate": {"s", "t"}, "Baggage": {`k="v"`}}
	const added = `"traceparent":"p","tracestate":"s,t","baggage":"k=\"v\""`
	for _, c := range []struct {
		name, in string
		h        http.Header
		want     string // empty: as it was
	}{
		{"no headers", `{"method":"tools/call","params":{}}`, http.Header{}, ""},
		{"no _meta", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.00}}}`, all,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.00},"_meta":{` + added +
				`}}}`},
		{"no params", `{"id":1,"method":"prompts/get"}`, all,
			`{"id":1,"method":"prompts/get","params":{"_meta":{` + added + `}}}`},
		{"other members", `{"id":1,"method":"resources/read","params":{"_meta":{"x":1}}}`, all,
			`{"id":1,"method":"resources/read","params":{"_meta":{"x":1,` + added + `}}}`},
		{"its own trace", `{"id":1,"method":"tools/call","params":{"_meta":{"traceparent":"mine"}}}`, all,
			`{"id":1,"method":"tools/call","params":{"_meta":{"traceparent":"mine","baggage":"k=\"v\""}}}`},
		{"all its own", `{"method":"tools/call","params":{"_meta":{"traceparent":"mine","baggage":"b"}}}`, all, ""},
		{"another method", `{"id":1,"method":"tools/list","params":{}}`, all, ""},
		{"an answer", `{"id":1,"result":{}}`, all, ""},
		{"a batch", `[{"id":1,"method":"tools/call"}]`, all, ""},
		{"a key twice", `{"id":1,"method":"tools/call","method":"tools/call"}`, all, ""},
		{"odd _meta", `{"id":1,"method":"tools/call","params":{"_meta":[]}}`, all, ""},
		{"no JSON", `{"method":"tools/call"`, all, ""},
		{"what is no header value", `{"method":"tools/call"}`, http.Header{"Traceparent": {"\xff"}}, ""},
		{"too long", `{"method":"tools/call","params":{"name":"` + strings.Repeat("x", 900) + `"}}`, all, ""},
	} {
		if c.want == "" {
			c.want = c.in
		}
		if got := string(AddTraceHeaders([]byte(c.in), c.h, 1000)); got != c.want {
			t.Errorf("%s: got  %s\nwant %s", c.name, got, c.want)
		}
	}
}
