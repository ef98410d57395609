package codec

import (
	"bytes"
	"strconv"
)

// The express lane carries tools/call beside the SDK, which takes 32 KiB and some ten microseconds
// to decode one message. It takes what is plain and leaves everything else to the SDK untouched;
// what a call means, who may make it, its limits and its end are decided in the same places for
// both: [endpoint.serveCall] on the server, [Session.Call] on the client.
//
// Its requests have ids of their own, "x-1", "x-2" and so on; those of the SDK are numbers.

const (
	MethodCall        = "tools/call"
	MethodInitialized = "notifications/initialized"

	expressPrefix = `"x-`
	// reservedMeta begins the keys that the protocol keeps for itself. The newest era says in them,
	// with each request, what others say once.
	reservedMeta = "io.modelcontextprotocol/"
)

// AppendExpressID appends the id of request n, as JSON.
func AppendExpressID(dst []byte, n uint64) []byte {
	return append(strconv.AppendUint(append(dst, expressPrefix...), n, 10), '"')
}

// ExpressID is the number of a request of the lane.
func ExpressID(raw []byte) (n uint64, ok bool) {
	digits, ours := bytes.CutPrefix(raw, []byte(expressPrefix))
	if digits, ok = bytes.CutSuffix(digits, []byte{'"'}); !ok || !ours {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	return n, err == nil
}

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
