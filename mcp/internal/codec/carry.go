package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// The SDK's types lose what they do not know of a question and of its answer. On the way in, their
// JSON passes through the SDK as text, in the `_meta` of something that it decodes ([Carry]). On
// the way out it is the JSON of something that the SDK encodes ([RawParams], [RawResult]).

// metaRaw is the text. It never leaves the process.
const metaRaw = "openmas/raw"

// Carry is what the SDK decodes in the place of raw: the params of a question, or a result of any
// kind. No params are null.
func Carry(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		raw = json.RawMessage("null")
	}
	const members = `{"action":"cancel","role":"assistant","content":{"type":"text","text":""},"messages":[],` +
		`"roots":[],"_meta":{"` + metaRaw + `":`
	return append(rawjson.AppendQuote([]byte(members), []byte(raw)), "}}"...)
}

// ErrNothing says that no params, or none but null, were given to [Carry].
var ErrNothing = errors.New("there is nothing")

// Carried is the object that [Carry] was given. The error says that it is none.
func Carried(meta map[string]any) (json.RawMessage, error) {
	text, ok := meta[metaRaw].(string)
	if !ok {
		return nil, errors.New("it was not kept as it came") // cannot happen
	}
	raw := json.RawMessage(strings.TrimSpace(text))
	switch kind := kindOf(raw); kind {
	case anObject:
		return Readable(raw), nil
	case "null":
		return nil, ErrNothing
	default:
		return nil, fmt.Errorf("it is %s, and no object", kind)
	}
}

// CarryInputs is [Carry] for the answers to questions that the params of a request hold, in
// protocol 2026-07-28. Params without them stay.
func CarryInputs(params json.RawMessage) json.RawMessage {
	const member = "inputResponses"
	some := false
	if rawjson.Object(params, func(k, _ []byte) bool { some = some || string(k) == member; return true }) && !some {
		return params
	}
	o, err := ReadObject(params)
	if err != nil {
		return params
	}
	answers := o.Get(member)
	if answers == nil {
		return params
	}
	raw := o.Get("_meta")
	meta, err := ReadObject(raw)
	if err != nil {
		if raw != nil && string(raw) != "null" {
			return params // the SDK says what is wrong with it
		}
		meta = &Object{}
	}
	meta.Set(metaRaw, jsonedit.String(string(answers)))
	o.Delete(member)
	o.Set("_meta", meta.Raw())
	return o.Raw()
}

// CarriedInputs are what [CarryInputs] took out of a request, by the ids of the questions; nil
// without any.
func CarriedInputs(meta map[string]any) (map[string]json.RawMessage, error) {
	text, ok := meta[metaRaw].(string)
	if !ok || text == "null" {
		return nil, nil
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, fmt.Errorf("inputResponses: it is %s, and no object", kindOf([]byte(text)))
	}
	for id, answer := range in {
		if kindOf(answer) != anObject {
			return nil, fmt.Errorf("inputResponses: the answer %q is %s, and no object", id, kindOf(answer))
		}
		in[id] = Readable(answer)
	}
	return in, nil
}

// WithInputs are the params of a request of the SDK's with the answers to questions in them.
func WithInputs(params sdk.Params, in map[string]json.RawMessage) (*RawParams, error) {
	raw, err := AppendJSON(nil, params)
	var o *Object
	if err == nil {
		o, err = ReadObject(raw)
	}
	if err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "encode a request: %w", err)
	}
	answers := jsonedit.Object{}
	for _, id := range slices.Sorted(maps.Keys(in)) {
		if !json.Valid(in[id]) {
			return nil, agent.Refusedf(agent.CodeInvalidArgument, "the input %q of a call is no JSON", id)
		}
		answers = append(answers, jsonedit.Member{Key: id, Value: in[id]})
	}
	o.Set("inputResponses", answers.Raw())
	return &RawParams{JSON: o.Raw()}, nil
}

// RawParams are the params of a message that are JSON already. For the SDK they are some params.
type RawParams struct {
	sdk.LoggingMessageParams
	JSON json.RawMessage
}

// MarshalJSON implements [json.Marshaler].
func (r *RawParams) MarshalJSON() ([]byte, error) { return r.JSON, nil }

// RawResult is a result that is JSON already. For the SDK it is some result.
type RawResult struct {
	sdk.CallToolResult
	JSON json.RawMessage
}

// MarshalJSON implements [json.Marshaler].
func (r *RawResult) MarshalJSON() ([]byte, error) { return r.JSON, nil }
