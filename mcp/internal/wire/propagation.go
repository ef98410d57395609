package wire

import (
	"errors"
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

// The idempotency key of a tool's call: a header, as net/http spells it, and a member of `_meta`.
const (
	keyHeader = "Idempotency-Key"
	KeyMember = "openmas/key"
)

// errKey says that a call cannot have the idempotency key of its header. It must not run without.
var errKey = errors.New("the header Idempotency-Key is for one message that calls a tool, has one value, and must not " +
	"differ from openmas/key in _meta")

// AddHeaders is a message with what its POST's headers say of a call in its `_meta`, where the
// message does not say it itself: the trace context and, of a tool's call, the idempotency key. It
// is msg itself if there is nothing to add, or if it would be longer than limit bytes. The error is
// that of a key that cannot be added.
func AddHeaders(msg []byte, h http.Header, limit int) ([]byte, error) {
	keys := h[keyHeader]
	if keys == nil && h["Traceparent"] == nil && h["Baggage"] == nil {
		return msg, nil
	}
	out, keyed := addHeaders(msg, h)
	if keys != nil && (!keyed || len(out) > limit) {
		return nil, errKey
	}
	if out == nil || len(out) > limit {
		return msg, nil
	}
	return out, nil
}

// addHeaders returns nil if there is nothing to add. keyed: the message has the idempotency key, or
// can have none.
func addHeaders(msg []byte, h http.Header) (out []byte, keyed bool) {
	o, ok := readOnce(msg)
	method, _ := rawjson.Unquote(o.Get("method"))
	if !ok || !slices.Contains(tracedMethods, method) {
		return nil, ok && method != "tools/call"
	}
	params, ok := readOnce(o.Get("params"))
	if !ok {
		return nil, false
	}
	meta, ok := readOnce(params.Get("_meta"))
	if !ok {
		return nil, false
	}
	changed := false
	if keyed = true; method == "tools/call" && h[keyHeader] != nil {
		changed, keyed = addKey(&meta, h[keyHeader])
	}
	own := meta.Get(TraceParent) != nil
	for _, t := range traceHeaders {
		v := strings.Join(h[t.header], ",")
		if !fitsHeader(v) || meta.Get(t.member) != nil || own && t.member != Baggage {
			continue
		}
		meta.Set(t.member, rawjson.AppendQuote(nil, v))
		changed = true
	}
	if !changed {
		return nil, keyed
	}
	params.Set("_meta", meta.Raw())
	o.Set("params", params.Raw())
	return o.Raw(), keyed
}

// addKey adds the idempotency key, which may be a string of structured headers (RFC 9651): in
// quotes. ok is false for one that the message must not go on without.
func addKey(meta *jsonedit.Object, values []string) (changed, ok bool) {
	if len(values) != 1 || !fitsHeader(values[0]) {
		return false, false
	}
	key := values[0]
	if text, quoted := rawjson.Unquote([]byte(key)); quoted {
		key = text
	}
	if own := meta.Get(KeyMember); own != nil {
		text, _ := rawjson.Unquote(own)
		return false, text == key
	}
	meta.Set(KeyMember, rawjson.AppendQuote(nil, key))
	return true, key != ""
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
