package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Damaged fills e from an answer that no decoder reads, such as one that holds NaN or is cut off.
// Its id is found by looking for keys and brackets only, so that its call fails at once, and does
// not wait until its deadline. It is false for what does not seem to be an answer: then nobody may
// be waiting for it. why is the decoder's reason.
func (e *Envelope) Damaged(msg []byte, why error) bool {
	id, ok := damagedID(msg)
	if !ok {
		return false
	}
	*e = Envelope{ID: id, damage: notDecodable(msg, why)}
	return true
}

// Undecodable is the answer to request id in a response that holds nothing else.
func Undecodable(id, body []byte, why error) *Envelope {
	return &Envelope{ID: id, damage: notDecodable(body, why)}
}

// notDecodable says what is wrong with a message, and where.
func notDecodable(msg []byte, why error) error {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(msg, new(any)); errors.As(err, &syntax) {
		at := int(min(syntax.Offset, int64(len(msg))))
		near := msg[max(at-20, 0):min(at+20, len(msg))]
		return fmt.Errorf("it is not JSON: %w (byte %d, near %q)", syntax, at, clip(near, len(near)))
	}
	return why
}

// damagedID finds the id of an answer, as it stands in msg.
func damagedID(msg []byte) (id []byte, ok bool) {
	if len(msg) == 0 || msg[0] != '{' {
		return nil, false
	}
	var tagged, others, outcome bool
	key := true // a string here is a key of the outermost object
	for i, depth := 1, 1; i < len(msg) && depth > 0; i++ {
		switch msg[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			key = true
		case '"':
			end := stringEnd(msg, i)
			if end < 0 {
				end = len(msg) // cut off
			}
			name := msg[i+1 : max(end-1, i+1)]
			i = end - 1
			if depth != 1 || !key {
				continue
			}
			key = false
			switch string(name) {
			case "method":
				return nil, false
			case "jsonrpc":
				tagged = true
			case "result", "error":
				outcome = true
			case "id":
				id = scalar(msg[end:])
			default:
				others = true
			}
		}
	}
	return id, id != nil && outcome && (tagged || !others)
}

// stringEnd is the index just past the string that begins at i, or -1.
func stringEnd(msg []byte, i int) int {
	for i++; i < len(msg); i++ {
		switch msg[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// scalar is the string or number after a colon; nil: there is something else.
func scalar(b []byte) []byte {
	b = bytes.TrimLeft(b, " \t\r\n")
	if len(b) == 0 || b[0] != ':' {
		return nil
	}
	b = bytes.TrimLeft(b[1:], " \t\r\n")
	if len(b) > 0 && b[0] == '"' {
		if end := stringEnd(b, 0); end > 0 {
			return b[:end]
		}
		return nil
	}
	end := bytes.IndexAny(b, ",} \t\r\n")
	if end <= 0 || b[0] > '9' || !json.Valid(b[:end]) { // not null, true or false
		return nil
	}
	return b[:end]
}
