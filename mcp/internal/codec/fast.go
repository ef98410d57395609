package codec

import (
	"bytes"
	"strconv"
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
		return bytes.IndexByte(raw, '\\') < 0
	}
	_, err := strconv.ParseInt(string(raw), 10, 54)
	return err == nil
}

// MethodCancelled tells a server that a request's answer is not waited for any more.
const MethodCancelled = "notifications/cancelled"
