package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// The SDK keeps the id of a request as a string or an int64. One that it could not return as its
// client wrote it (an integer over 2^53, a fraction, an exponent, an escape) stands, as it is
// written, in a string that the SDK gets in its place.

// MethodCancelled notifies a server that a client does not wait for an answer any more.
const MethodCancelled = "notifications/cancelled"

// hidden begins the ids that stand for others.
const hidden = "openmas-id:"

// plainID reports whether the SDK returns an id as it is written, or refuses it.
func plainID(raw []byte) bool {
	if raw[0] == '"' {
		return bytes.IndexByte(raw, '\\') < 0 && !bytes.HasPrefix(raw[1:], []byte(hidden))
	}
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return true
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return err == nil && n <= 1<<53 && n >= -1<<53 && string(raw) != "-0"
}

func hide(raw []byte) []byte { return rawjson.AppendQuote(nil, hidden+string(raw)) }

// HideID returns a message that was scanned as the SDK gets it: with an id that the SDK can return.
// A cancellation names its request in the same way, if open reports that the SDK has that one. What
// needs no change is returned as it is. e becomes the envelope of the result.
func (e *Envelope) HideID(msg []byte, open func(id string) bool) []byte {
	if e.Method == nil {
		return msg
	}
	changed := false
	if e.ID != nil && !plainID(e.ID) {
		e.ID, changed = hide(e.ID), true
	}
	if string(e.Method) == MethodCancelled {
		var params map[string]json.RawMessage
		if json.Unmarshal(e.Params, &params) == nil && len(params["requestId"]) > 0 && !plainID(params["requestId"]) &&
			open(hidden+string(params["requestId"])) {
			params["requestId"] = hide(params["requestId"])
			if raw, err := json.Marshal(params); err == nil {
				e.Params, changed = raw, true
			}
		}
	}
	if !changed {
		return msg
	}
	out, err := e.encode()
	if err != nil {
		return msg // cannot happen to what was scanned
	}
	return out
}

// IDHeader is where a handler of the SDK finds the id of its request, as text: the SDK passes on
// headers, and no ids. It never comes from outside.
const IDHeader = "Openmas-Request-Id"

// noteID leaves the id of a call for the handler of the SDK.
func noteID(msg jsonrpc.Message) {
	req, ok := msg.(*jsonrpc.Request)
	if !ok || !req.IsCall() {
		return
	}
	id := fmt.Sprint(req.ID.Raw())
	if _, quoted := req.ID.Raw().(string); quoted {
		id = idText(id)
	}
	req.Extra = &sdk.RequestExtra{Header: http.Header{IDHeader: {id}}}
}

// IDText is the id of a request that [Envelope.HideID] was called for, as text.
func (e *Envelope) IDText() string {
	if text, quoted := rawjson.Unquote(e.ID); quoted {
		return idText(text)
	}
	return string(e.ID)
}

// idText is an id in a string, or the one that it stands for.
func idText(s string) string {
	if raw, other := strings.CutPrefix(s, hidden); other {
		return strings.Trim(raw, `"`)
	}
	return s
}

// ShowID undoes [Envelope.HideID] in an answer of the SDK's.
func ShowID(msg []byte) []byte {
	const head = `{"jsonrpc":"2.0","id":`
	if !bytes.HasPrefix(msg, []byte(head+`"`+hidden)) {
		return msg
	}
	end := stringEnd(msg, len(head))
	if end < 0 {
		return msg
	}
	var id string
	if json.Unmarshal(msg[len(head):end], &id) != nil {
		return msg
	}
	return append(append([]byte(head), id[len(hidden):]...), msg[end:]...)
}

// hiddenError is the member of an error's data that holds the error in whose place it is sent. None
// that a foreign server sent is passed on.
const hiddenError = `{"openmas/raw-error":`

// HideError is the data of a JSON-RPC error which [ShowError] replaces by raw, an object: the SDK
// would lose what it has no field for.
func HideError(raw json.RawMessage) json.RawMessage {
	return append(append([]byte(hiddenError), raw...), '}')
}

// HiddenError is what [HideError] was given; nil: data is something else.
func HiddenError(data json.RawMessage) json.RawMessage {
	if !bytes.HasPrefix(data, []byte(hiddenError)) {
		return nil
	}
	return data[len(hiddenError) : len(data)-1]
}

// ShowError undoes [HideError] in an answer that this process has encoded.
func ShowError(msg []byte) []byte {
	at := bytes.Index(msg, []byte(`,"data":`+hiddenError))
	if at < 0 {
		return msg
	}
	var env Envelope
	var data []byte
	if !env.Scan(bytes.TrimSpace(msg)) || env.Error == nil || !rawjson.Object(env.Error, func(k, v []byte) bool {
		if string(k) == "data" {
			data = v
		}
		return true
	}) {
		return msg
	}
	raw := HiddenError(data)
	if raw == nil {
		return msg
	}
	return bytes.Replace(msg, env.Error, raw, 1)
}

// cancelledID is the id that a cancellation names, as the SDK reads it.
func cancelledID(msg jsonrpc.Message) (id jsonrpc.ID, ok bool) {
	req, ok := msg.(*jsonrpc.Request)
	if !ok || req.Method != MethodCancelled || req.IsCall() {
		return id, false
	}
	var params struct {
		ID any `json:"requestId"`
	}
	if json.Unmarshal(req.Params, &params) != nil {
		return id, false
	}
	id, err := jsonrpc.MakeID(params.ID)
	return id, err == nil && id.IsValid()
}
