package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// Envelope holds the members of a JSON-RPC 2.0 message as slices of the raw message. A member that
// is absent is nil.
type Envelope struct {
	ID     []byte // raw JSON
	Method []byte // the string's content, without quotes
	Params []byte // raw JSON
	Result []byte // raw JSON
	Error  []byte // raw JSON

	damage error // why an answer cannot be read
	nulls  bool  // the SDK would read the message differently, for a member that is null
}

// Scan fills e from msg, without allocating. True means that msg is surely one valid JSON object of
// version 2.0. False means only that something is unusual (a known member twice, an escape in a key
// or the method, deep nesting, bytes that are not JSON): the SDK's decoder decides then.
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
			if string(v) == "null" {
				e.nulls = true
				return true
			}
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
	// Some programs write out all members there may be.
	if e.Method != nil {
		e.Result, e.Error = unlessNull(e.Result), unlessNull(e.Error)
	} else if e.nulls && e.Result == nil && e.Error == nil {
		return false
	}
	return ok && tagged
}

func unlessNull(raw []byte) []byte {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

var errBoth = errors.New("it is a request and an answer at once: it has a method and an outcome")

// Both is what a message that was scanned answers if it is a request as well, which cannot be
// understood; nil for any other.
func (e *Envelope) Both() *Envelope {
	if e.Method == nil || e.Result == nil && e.Error == nil {
		return nil
	}
	return &Envelope{ID: e.ID, damage: errBoth}
}

// AnswerID is the id of the request that a message answers. Our requests have integers; some peers
// return them as strings, or with a fraction or an exponent. ok is false if the message is no
// answer, or does not answer a request of ours.
func (e *Envelope) AnswerID() (id int64, ok bool) {
	raw := e.ID
	if e.Method != nil || len(raw) == 0 {
		return 0, false
	}
	quoted := raw[0] == '"'
	if quoted {
		raw = raw[1 : len(raw)-1]
	}
	id, err := strconv.ParseInt(string(raw), 10, 64)
	if err == nil || quoted {
		return id, err == nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53
}

// An RPCError is the error of an answer, and how it is written.
type RPCError struct {
	Raw json.RawMessage

	rpc *jsonrpc.Error
}

// Error implements error.
func (e *RPCError) Error() string { return e.rpc.Error() }

// Unwrap returns the error as the SDK has it.
func (e *RPCError) Unwrap() error { return e.rpc }

// ReadAnswer returns a copy of the result of an answer, or its error: an [*RPCError], or an
// [*AnswerError] for an answer that holds neither or cannot be read. Some programs write an empty
// error beside each result, such as false.
func (e *Envelope) ReadAnswer() (json.RawMessage, error) {
	if e.damage != nil {
		return nil, &AnswerError{Cause: e.damage}
	}
	if e.Error != nil && !(e.hasResult() && saysNothing(e.Error)) && string(e.Error) != "null" {
		return nil, &RPCError{bytes.Clone(e.Error), readError(e.Error)}
	}
	if e.Result == nil {
		return nil, &AnswerError{Cause: errNoResult}
	}
	return bytes.Clone(e.Result), nil
}

func (e *Envelope) hasResult() bool { return e.Result != nil && string(e.Result) != "null" }

// saysNothing reports whether a value is what a programming language takes for none.
func saysNothing(raw []byte) bool {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return v == nil || v == false || v == "" || v == 0.0
}

// readError reads an error. Of one that is written in a way of its own, what it says remains: all
// of it where it has no message, and a code that is no integer.
func readError(raw []byte) *jsonrpc.Error {
	rpc := &jsonrpc.Error{Code: jsonrpc.CodeInternalError}
	if json.Unmarshal(raw, &rpc.Message) == nil && rpc.Message != "" {
		return rpc
	}
	var loose struct {
		Code    json.RawMessage `json:"code"`
		Message json.RawMessage `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(raw, &loose) != nil || json.Unmarshal(loose.Message, &rpc.Message) != nil || rpc.Message == "" {
		rpc.Message = "an error without a message: " + clip(raw, 500)
	}
	rpc.Data = loose.Data
	if code, err := strconv.ParseInt(string(loose.Code), 10, 64); err == nil {
		rpc.Code = code
	} else if code, err := strconv.ParseFloat(string(loose.Code), 64); err == nil && code == math.Trunc(code) &&
		math.Abs(code) <= 1<<53 {
		rpc.Code = int64(code)
	} else if loose.Code != nil && string(loose.Code) != "null" {
		rpc.Message += " (code " + clip(loose.Code, 100) + ")"
	}
	return rpc
}

// fill makes e the envelope of a message that the SDK's decoder has read.
func (e *Envelope) fill(msg jsonrpc.Message) (err error) {
	var id jsonrpc.ID
	switch msg := msg.(type) {
	case *jsonrpc.Request:
		*e = Envelope{Method: append([]byte{}, msg.Method...), Params: msg.Params} // a method may be empty
		id = msg.ID
	case *jsonrpc.Response:
		*e = Envelope{Result: msg.Result}
		if id = msg.ID; msg.Error != nil {
			e.Error, err = json.Marshal(msg.Error)
		}
	}
	if id.IsValid() && err == nil {
		e.ID, err = json.Marshal(id.Raw())
	}
	return err
}

// usual reports whether the SDK surely accepts a message that was scanned.
func (e *Envelope) usual() bool {
	if e.Method == nil {
		_, ok := e.AnswerID()
		return ok
	}
	_, ok := e.id()
	return ok && e.Result == nil && e.Error == nil && (e.Params == nil || e.Params[0] == '{' || e.Params[0] == '[')
}

// Encode is the message that an envelope describes, which was scanned.
func (e *Envelope) Encode() []byte {
	raw, err := e.encode()
	if err != nil {
		return nil // cannot happen to what was scanned
	}
	return raw
}

// encode is the message that an envelope describes. The SDK's encoder leaves out a method that is
// empty, which makes a request an answer.
func (e *Envelope) encode() ([]byte, error) {
	var method *string
	if e.Method != nil {
		method = new(string(e.Method))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Method  *string         `json:"method,omitempty"`
		Params  json.RawMessage `json:"params,omitempty"`
		Result  json.RawMessage `json:"result,omitempty"`
		Error   json.RawMessage `json:"error,omitempty"`
	}{"2.0", e.ID, method, e.Params, e.Result, e.Error})
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

var (
	errBatch   = errors.New("a batch that is not a JSON array")
	errNoBatch = errors.New("a batch without a message")
)

// Messages calls each for the message in data, or for those of a batch, and bad for what cannot be
// read. A message with an unusual envelope is passed on as the SDK reads it.
func Messages(data []byte, each func(raw []byte, env *Envelope), bad func(raw []byte, why error)) {
	var env Envelope
	one := func(raw []byte) bool {
		if env.Scan(raw) && (env.usual() || env.Both() != nil) {
			if env.nulls {
				raw = env.Encode()
			}
			each(raw, &env)
			return true
		}
		msg, err := jsonrpc.DecodeMessage(bytes.Clone(raw))
		if err == nil {
			err = env.fill(msg)
		}
		if err == nil {
			raw, err = env.encode()
		}
		if err == nil {
			each(raw, &env)
		} else {
			bad(raw, err)
		}
		return true
	}
	if len(data) == 0 || data[0] != '[' {
		one(data)
	} else if !rawjson.Array(data, one) {
		bad(data, errBatch)
	}
}

// id reads a plain string or an integer that a float64 holds exactly; no id is the zero ID.
func (e *Envelope) id() (jsonrpc.ID, bool) {
	var v any
	switch raw := e.ID; {
	case raw == nil:
		return jsonrpc.ID{}, true
	case raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0:
		v = string(raw[1 : len(raw)-1])
	default:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || n > 1<<53 || n < -1<<53 {
			return jsonrpc.ID{}, false
		}
		v = float64(n)
	}
	id, err := jsonrpc.MakeID(v)
	return id, err == nil
}
