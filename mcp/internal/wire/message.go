package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// decode turns raw into an SDK message. The common shapes are built from the scanned envelope; the
// SDK's own decoder, which allocates 32 KiB and takes some ten microseconds, gets the rest and
// words the errors. raw may be reused after.
func decode(raw []byte, env *Envelope, scanned bool) (jsonrpc.Message, error) {
	if scanned {
		if msg := env.message(); msg != nil {
			return msg, nil
		}
	}
	return jsonrpc.DecodeMessage(bytes.Clone(raw))
}

// message builds the SDK's message, or nil where its decoder might judge otherwise.
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

// encode is the wire form of msg, or a NotSentError.
func encode(msg jsonrpc.Message) ([]byte, error) {
	b, err := jsonrpc.EncodeMessage(msg)
	if err != nil {
		return nil, &NotSentError{Cause: err}
	}
	return b, nil
}

// checkRaw is what WriteRaw asks of a message before it is sent.
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

// tooLargeReply stands in for a result that is over the limit: without it the caller would wait
// until its deadline.
func tooLargeReply(resp *jsonrpc.Response, size, limit int) []byte {
	id, err := json.Marshal(resp.ID.Raw())
	if err != nil {
		id = nil
	}
	return errorReply(id, jsonrpc.CodeInternalError, "the result has %d bytes, over the limit of %d", size, limit)
}
