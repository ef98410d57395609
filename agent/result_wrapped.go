package agent

import (
	"bytes"
	"encoding/json"
	"reflect"
)

var wrapper = []byte(`{"result":`)

// unwrapped is the value that a server wrapped in an object because MCP's structured content has to
// be one: the Python SDK gives {"result": value} for every tool whose result is no object, beside
// blocks that say the value alone. Text that is JSON itself is taken for what it says, as without
// structured content. ok is false for an object that means what it is.
func (r *Result) unwrapped() (value json.RawMessage, ok bool) {
	if !bytes.HasPrefix(r.Structured, wrapper) {
		return nil, false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(r.Structured, &members) != nil || len(members) != 1 {
		return nil, false
	}
	inner := members["result"]
	var list []json.RawMessage
	switch isList := json.Unmarshal(inner, &list) == nil && list != nil; {
	case len(r.Content) == 0:
		return inner, string(inner) == "null" || isList && len(list) == 0
	case len(r.Content) == 1 && r.Content[0].says(inner):
		if text := json.RawMessage(r.Content[0].Text); json.Valid(text) {
			return text, true
		}
		return inner, true
	case isList && len(list) == len(r.Content):
		for i, item := range list {
			if !r.Content[i].says(item) {
				return nil, false
			}
		}
		return inner, true
	}
	return nil, false
}

// says reports whether the block is the text for value: a string as it is, anything else as JSON.
func (c Content) says(value json.RawMessage) bool {
	if !c.isText() {
		return false
	}
	var s string
	if json.Unmarshal(value, &s) == nil && s == c.Text {
		return true
	}
	var a, b any
	return json.Unmarshal(value, &a) == nil && json.Unmarshal([]byte(c.Text), &b) == nil && reflect.DeepEqual(a, b)
}
