package wire

import (
	"bytes"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// Envelope holds the members of a JSON-RPC 2.0 message as they stand in the raw message, without
// copies. A member that is absent is nil.
type Envelope struct {
	ID     []byte // raw JSON
	Method []byte // the string's content, without quotes
	Params []byte // raw JSON
	Result []byte // raw JSON
	Error  []byte // raw JSON
}

// Scan fills e from msg, without allocating. True means that msg is one valid JSON object, tagged
// as version 2.0, in which every member is where it seems to be. False means only that something is
// unusual (a known member twice, an escape in a key or the method, deep nesting, bytes that are not
// JSON): another decoder has the last word then.
func (e *Envelope) Scan(msg []byte) bool {
	*e = Envelope{}
	tagged := false
	ok := rawjson.Object(msg, func(k, v []byte) bool {
		var dst *[]byte
		switch string(k) {
		case "jsonrpc":
			if tagged || string(v) != `"2.0"` {
				return false
			}
			tagged = true
			return true
		case "id":
			dst = &e.ID
		case "method":
			if v[0] != '"' || bytes.IndexByte(v, '\\') >= 0 {
				return false
			}
			v, dst = v[1:len(v)-1:len(v)-1], &e.Method
		case "params":
			dst = &e.Params
		case "result":
			dst = &e.Result
		case "error":
			dst = &e.Error
		default:
			return true
		}
		if *dst != nil {
			return false
		}
		*dst = v
		return true
	})
	return ok && tagged
}
