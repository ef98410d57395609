package wire

import "bytes"

// Envelope holds the members of a JSON-RPC 2.0 message as they stand in the raw message, without copies. A member that
// is absent is nil.
type Envelope struct {
	ID     []byte // raw JSON
	Method []byte // the string's content, without quotes
	Params []byte // raw JSON
	Result []byte // raw JSON
	Error  []byte // raw JSON
}

// Scan fills e from msg, without allocating. True means that msg is one valid JSON object, tagged as version 2.0, in
// which every member is where it seems to be. False means only that something is unusual (a known member twice, an
// escape in a key or the method, deep nesting, bytes that are not JSON): another decoder has the last word then.
func (e *Envelope) Scan(msg []byte) bool {
	*e = Envelope{}
	tagged := false
	ok := Object(msg, func(k, v []byte) bool {
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

// Object calls f for each member of the JSON object b: the key's content without quotes and the raw value, both slices
// of b. It validates what it passes and does not allocate. It is false if f was, or if b is not an object, has a key
// with an escape, or nests deeper than 512 levels.
func Object(b []byte, f func(key, value []byte) bool) bool {
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	if i = space(b, i+1); i < len(b) && b[i] == '}' {
		return space(b, i+1) == len(b)
	}
	for i < len(b) && b[i] == '"' {
		end, plain := scanString(b, i)
		if end < 0 || !plain {
			return false
		}
		key := b[i+1 : end-1 : end-1]
		if i = space(b, end); i >= len(b) || b[i] != ':' {
			return false
		}
		i = space(b, i+1)
		if end = scanValue(b, i); end < 0 || !f(key, b[i:end:end]) {
			return false
		}
		if i = space(b, end); i >= len(b) {
			return false
		}
		switch b[i] {
		case ',':
			i = space(b, i+1)
		case '}':
			return space(b, i+1) == len(b)
		default:
			return false
		}
	}
	return false
}
