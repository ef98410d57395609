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
		if got, err := AddHeaders([]byte(c.in), c.h, 1000); string(got) != c.want || err != nil {
			t.Errorf("%s: got  %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
}

func TestIdempotencyKeyHeader(t *testing.T) {
	long := strings.Repeat("k", 300) // for the callee to refuse
	for _, c := range []struct {
		name, in string
		values   []string
		want     string // empty: it is refused
	}{
		{"a key", `{"method":"tools/call","params":{"name":"a"}}`, []string{"k-1"},
			`{"method":"tools/call","params":{"name":"a","_meta":{"openmas/key":"k-1"}}}`},
		{"in quotes", `{"method":"tools/call","params":{"_meta":{"x":1}}}`, []string{`"k 1"`},
			`{"method":"tools/call","params":{"_meta":{"x":1,"openmas/key":"k 1"}}}`},
		{"a long key", `{"method":"tools/call","params":{}}`, []string{long},
			`{"method":"tools/call","params":{"_meta":{"openmas/key":"` + long + `"}}}`},
		{"the same in the message", `{"method":"tools/call","params":{"_meta":{"openmas/key":"k"}}}`, []string{"k"},
			`{"method":"tools/call","params":{"_meta":{"openmas/key":"k"}}}`},
		{"another method", `{"method":"initialize","params":{}}`, []string{"k"}, `{"method":"initialize","params":{}}`},
		{"another call", `{"method":"prompts/get","params":{}}`, []string{"k"}, `{"method":"prompts/get","params":{}}`},
		{"an answer", `{"id":1,"result":{}}`, []string{"k"}, `{"id":1,"result":{}}`},
		{"another in the message", `{"method":"tools/call","params":{"_meta":{"openmas/key":"l"}}}`, []string{"k"}, ""},
		{"no text in the message", `{"method":"tools/call","params":{"_meta":{"openmas/key":1}}}`, []string{"1"}, ""},
		{"two", `{"method":"tools/call","params":{}}`, []string{"k", "l"}, ""},
		{"empty", `{"method":"tools/call","params":{}}`, []string{""}, ""},
		{"empty in quotes", `{"method":"tools/call","params":{}}`, []string{`""`}, ""},
		{"odd params", `{"method":"tools/call","params":[]}`, []string{"k"}, ""},
		{"a name twice", `{"method":"tools/call","method":"tools/call"}`, []string{"k"}, ""},
		{"a batch", `[{"method":"tools/call","params":{}}]`, []string{"k"}, ""},
		{"no room", `{"method":"tools/call","params":{"x":"` + strings.Repeat("x", 950) + `"}}`, []string{"k"}, ""},
	} {
		got, err := AddHeaders([]byte(c.in), http.Header{"Idempotency-Key": c.values}, 1000)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: got  %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
}
