package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

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

// MendAnswers returns what a peer posted as the SDK's decoder reads it, if it is an answer or a
// batch of nothing else: the SDK would refuse one that is malformed, and whoever waits for it would
// not learn of it. Else ok is false. stand, if not nil, makes of each result what stands in for it.
func MendAnswers(body []byte, stand StandIn) (mended []byte, ok bool) {
	if len(body) == 0 || body[0] != '[' {
		return mendAnswer(body, stand)
	}
	mended, ok = []byte{'['}, true
	whole := rawjson.Array(body, func(raw []byte) bool {
		if len(mended) > 1 {
			mended = append(mended, ',')
		}
		raw, ok = mendAnswer(raw, stand)
		mended = append(mended, raw...)
		return ok
	})
	return append(mended, ']'), whole && ok && len(mended) > 1
}

func mendAnswer(raw []byte, stand StandIn) ([]byte, bool) {
	var env Envelope
	if !env.Scan(raw) {
		msg, err := jsonrpc.DecodeMessage(raw)
		if err == nil {
			err = env.fill(msg)
		}
		if err != nil && !env.Damaged(raw, err) {
			return nil, false
		}
	}
	id, ok := env.AnswerID()
	if !ok {
		return nil, false
	}
	if stand != nil && env.Result != nil {
		env.Result = stand(env.Result)
	}
	mended, err := jsonrpc.EncodeMessage(env.Response(id, nil))
	return mended, err == nil
}

// notDecodable says what is wrong with a message, and where.
func notDecodable(msg []byte, why error) error {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(msg, new(any)); errors.As(err, &syntax) {
		at := int(min(syntax.Offset, int64(len(msg))))
		near := msg[max(at-20, 0):min(at+20, len(msg))]
		return fmt.Errorf("it is not JSON: %w (byte %d, near %q)", syntax, at, clip(near, len(near)))
	}
	if odd := oddMember(msg); odd != "" {
		return errors.New(odd)
	}
	return why
}

// oddMember is what is wrong with a member of a message.
func oddMember(object []byte) (odd string) {
	var m map[string]json.RawMessage
	if json.Unmarshal(object, &m) != nil {
		return ""
	}
	is := func(name, kinds string) bool {
		v := m[name]
		return len(v) == 0 || strings.IndexByte(kinds+"n", v[0]) >= 0
	}
	switch {
	case m["jsonrpc"] == nil:
		return `it has no "jsonrpc": "2.0"`
	case string(m["jsonrpc"]) != `"2.0"`:
		return `its jsonrpc is ` + clip(m["jsonrpc"], 20) + ` and not "2.0"`
	case !is("method", `"`):
		return "its method is no string"
	case !is("id", `"-0123456789`):
		return "its id is neither a string nor a number"
	case !is("error", "{"):
		return "its error is no object"
	}
	return ""
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
