package wire

import (
	"net/http"
	"slices"
	"strings"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// The W3C trace context and baggage: members of a request's `_meta`, unprefixed, and headers.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
	Baggage     = "baggage"
)

// traceHeaders are the headers, as net/http spells them, and the members of `_meta`.
var traceHeaders = [...]struct{ header, member string }{{"Traceparent", TraceParent}, {"Tracestate", TraceState},
	{"Baggage", Baggage}}

// maxTraceHeader bounds each of them, in bytes: many servers refuse a request whose headers have
// more than 8 KiB in all.
const maxTraceHeader = 4 << 10

// TraceHeaders is the trace context of a call's metadata as headers; nil without one. What cannot
// stand in a header, or is too long, is left out.
func TraceHeaders(meta map[string]string, baggage bool) http.Header {
	if len(meta) == 0 {
		return nil
	}
	var out http.Header
	for _, t := range traceHeaders {
		v := meta[t.member]
		if !fitsHeader(v) || t.member == Baggage && !baggage {
			continue
		}
		if out == nil {
			out = make(http.Header, len(traceHeaders))
		}
		out[t.header] = []string{v}
	}
	return out
}

func fitsHeader(v string) bool {
	return v != "" && len(v) <= maxTraceHeader &&
		!strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' })
}

// tracedMethods are those of requests that become calls of agents.
var tracedMethods = []string{"tools/call", "prompts/get", "resources/read", "completion/complete"}

// AddTraceHeaders is a message with the trace context of its POST's headers in its `_meta`, where
// the message has none of its own. It is msg itself if there is nothing to add, or if it would be
// longer than limit bytes.
func AddTraceHeaders(msg []byte, h http.Header, limit int) []byte {
	if h["Traceparent"] == nil && h["Baggage"] == nil {
		return msg
	}
	o, ok := readOnce(msg)
	method, _ := rawjson.Unquote(o.Get("method"))
	if !ok || !slices.Contains(tracedMethods, method) {
		return msg
	}
	params, ok := readOnce(o.Get("params"))
	if !ok {
		return msg
	}
	meta, ok := readOnce(params.Get("_meta"))
	if !ok {
		return msg
	}
	own, changed := meta.Get(TraceParent) != nil, false
	for _, t := range traceHeaders {
		v := strings.Join(h[t.header], ",")
		if !fitsHeader(v) || meta.Get(t.member) != nil || own && t.member != Baggage {
			continue
		}
		meta.Set(t.member, rawjson.AppendQuote(nil, v))
		changed = true
	}
	params.Set("_meta", meta.Raw())
	o.Set("params", params.Raw())
	out := o.Raw()
	if !changed || len(out) > limit {
		return msg
	}
	return out
}

// readOnce reads an object; ok is false for what is not one, or has a key twice. nil is an empty
// one.
func readOnce(raw []byte) (o jsonedit.Object, ok bool) {
	if raw == nil {
		return nil, true
	}
	o, repeated, err := jsonedit.ReadObject(raw)
	return o, err == nil && !repeated
}
