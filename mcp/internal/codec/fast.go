package codec

import (
	"bytes"
	"math"
	"strconv"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// The fast path carries tools/call beside the SDK, which takes 32 KiB and some ten microseconds
// to decode one message. It takes what is plain and leaves everything else to the SDK untouched;
// what a call means, who may make it, its limits and its end are decided in the same places for
// both: serveCall on the server, Session.Call on the client.
//
// Its requests have ids of their own, see [FastID].

const (
	MethodCall        = "tools/call"
	MethodInitialized = "notifications/initialized"

	// reservedMeta begins the keys that the protocol keeps for itself. Protocol 2026-07-28 says in
	// them, with each request, what others say once.
	reservedMeta = "io.modelcontextprotocol/"
)

// PlainID reports whether an id can be compared and sent back as it stands: a string without
// escapes, or an integer.
func PlainID(raw []byte) bool {
	if len(raw) == 0 || len(raw) > 256 {
		return false
	}
	if raw[0] == '"' {
		return !bytes.ContainsRune(raw, '\\')
	}
	_, err := strconv.ParseInt(string(raw), 10, 54)
	return err == nil && string(raw) != "-0"
}

// RequestKey is how a plain id stands in a message, made from what the SDK has decoded; empty for
// what is no plain id.
func RequestKey(id any) string {
	switch id := id.(type) {
	case string:
		return string(rawjson.AppendQuote(nil, id))
	case float64:
		if id == math.Trunc(id) && math.Abs(id) <= 1<<53 {
			return strconv.FormatInt(int64(id), 10)
		}
	}
	return ""
}
