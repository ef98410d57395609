package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// Damaged fills e from an answer that no decoder reads, such as one that holds NaN or is cut off.
// Its id is found by looking for keys and brackets only, so that its call fails at once, and does
// not wait until its deadline. It is false for what does not seem to be an answer: then nobody may
// be waiting for it. Result is where the result seems to be, for those who can do with a part of
// it. why is the decoder's reason.
func (e *Envelope) Damaged(msg []byte, why error) bool {
	id, ok := damagedID(msg)
	if !ok {
		return false
	}
	*e = Envelope{ID: id, damage: notDecodable(msg, why)}
	parts, _ := rawjson.Parts(msg)
	for _, part := range parts {
		if key, value := rawjson.Member(part); string(key) == `"result"` {
			e.Result = value
		}
	}
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
	var o outline
	if len(msg) > 0 && msg[0] == '{' {
		o.add(msg)
	}
	return o.answerID()
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
