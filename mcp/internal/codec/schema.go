package codec

import (
	"bytes"
	"encoding/json"
)

// WantsHeaders reports whether a tool's schema wants that requests over HTTP say some of the
// arguments in headers as well, as servers of protocol 2026-07-28 may.
func WantsHeaders(schema json.RawMessage) bool {
	if bytes.IndexByte(schema, '\\') >= 0 { // spelled out
		var v any
		if json.Unmarshal(schema, &v) == nil {
			schema, _ = json.Marshal(v) // cannot fail
		}
	}
	return bytes.Contains(schema, []byte("x-mcp-header"))
}
