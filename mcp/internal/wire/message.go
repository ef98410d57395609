package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// decode turns raw into an SDK message; raw may be reused after. The common shapes are built from
// the scanned envelope. The rest is for the SDK's own decoder, whose errors are the ones that users
// know: it allocates 32 KiB and takes some ten microseconds.
func decode(raw []byte, env *Envelope, scanned bool) (jsonrpc.Message, error) {
	if scanned {
		if msg := env.message(); msg != nil {
			return msg, nil
		}
	}
	return jsonrpc.DecodeMessage(bytes.Clone(raw))
}

var errMore = errors.New("more follows the message, and there is one at a time")

// beyond is what follows the JSON value that data begins with.
func beyond(data []byte) []byte {
	n := rawjson.Prefix(data)
	if n < 0 {
		return nil
	}
	return bytes.TrimSpace(data[n:])
}

// notMessage is what is wrong with data that the SDK's decoder refuses for the reason why, whose
// words are Go's, and the code for it.
func notMessage(data []byte, why error) *jsonrpc.Error {
	code := int64(jsonrpc.CodeInvalidRequest)
	var odd string
	switch text := bytes.TrimSpace(data); {
	case errors.Is(why, errMore):
		code, odd = jsonrpc.CodeParseError, why.Error()
	case !json.Valid(data):
		code, odd = jsonrpc.CodeParseError, notDecodable(data, why).Error()
	case text[0] != '{':
		odd = errNoObject.Error()
	case strings.Contains(why.Error(), "nesting"):
		code, odd = jsonrpc.CodeParseError, "it is nested too deeply"
	default:
		odd = oddMember(text)
	}
	return &jsonrpc.Error{Code: code, Message: cmp.Or(odd, "it is no message of JSON-RPC")}
}

// Refusal is the answer to what a client posted and is no message, or more than one; nil for a
// message and for a batch.
func Refusal(data []byte) []byte {
	var why error
	switch text := bytes.TrimSpace(data); {
	case len(text) == 0:
		return nil
	case !utf8.Valid(text):
		return errorReply(nil, jsonrpc.CodeParseError, "parse error: invalid UTF-8")
	case len(beyond(text)) > 0:
		why = errMore
	case text[0] != '[' || !json.Valid(text):
		_, why = jsonrpc.DecodeMessage(bytes.Clone(data))
	}
	if why == nil {
		return nil
	}
	rpc := notMessage(data, why)
	return errorReply(nil, rpc.Code, "%s", rpc.Message)
}

// message builds the SDK's message. It is nil where the SDK's decoder might decide otherwise.
func (e *Envelope) message() jsonrpc.Message {
	id, ok := e.id()
	switch {
	case !ok:
	case e.Method != nil:
		if e.Result == nil && e.Error == nil && (e.Params == nil || e.Params[0] == '{' || e.Params[0] == '[') {
			return &jsonrpc.Request{ID: id, Method: string(e.Method), Params: bytes.Clone(e.Params)}
		}
	case id.IsValid() && e.Params == nil && e.Error == nil && e.Result != nil && e.Result[0] != 'n':
		return &jsonrpc.Response{ID: id, Result: bytes.Clone(e.Result)}
	}
	return nil
}

// checkRaw checks a message of WriteRaw.
func checkRaw(msg []byte, limit int) error {
	if len(msg) > limit {
		return &NotSentError{Cause: &TooLargeError{Size: len(msg), Limit: limit}}
	}
	if bytes.IndexByte(msg, '\n') >= 0 || bytes.IndexByte(msg, '\r') >= 0 {
		return &NotSentError{Cause: errors.New("a raw message must be JSON without line breaks")}
	}
	return nil
}

// errorReply is the answer to a request that cannot be served. id is raw JSON, nil where it is not
// known.
func errorReply(id []byte, code int64, format string, args ...any) []byte {
	if id == nil {
		id = []byte("null")
	}
	b, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   jsonrpc.Error   `json:"error"`
	}{"2.0", id, jsonrpc.Error{Code: code, Message: fmt.Sprintf(format, args...)}})
	if err != nil { // only if id is not JSON
		return errorReply(nil, code, format, args...)
	}
	return b
}

// tooLargeReply stands in for a result that is over the limit.
func tooLargeReply(resp *jsonrpc.Response, size, limit int) []byte {
	id, err := json.Marshal(resp.ID.Raw())
	if err != nil {
		id = nil
	}
	return errorReply(id, jsonrpc.CodeInternalError, "the result has %d bytes, over the limit of %d", size, limit)
}
