package codec

import (
	"bytes"
	"encoding/json"
)

// WantsHeaders reports whether a tool's schema wants that requests over HTTP say some of the
// arguments in headers as well, as servers of protocol 2026-07-28 may.
func WantsHeaders(schema json.RawMessage) bool {
	if bytes.IndexByte(schema, '\\') >= 0 { // spelled out
		var v any
		if json.Unmarshal(schema, &v) == nil {
			schema, _ = json.Marshal(v) // cannot fail
		}
	}
	return bytes.Contains(schema, []byte("x-mcp-header"))
}

// plainProperties is an object's schema in which every property has an object for a schema. The
// specification allows true and false as well, and SDKs write true for what takes any value, but
// clients made with the TypeScript SDK refuse a whole list of tools for one of them.
func plainProperties(raw json.RawMessage) json.RawMessage {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(raw, &s) != nil {
		return raw
	}
	changed := false
	for name, p := range s.Properties {
		switch string(p) {
		case "true":
			s.Properties[name], changed = json.RawMessage(`{}`), true
		case "false":
			s.Properties[name], changed = json.RawMessage(`{"not":{}}`), true
		}
	}
	if !changed {
		return raw
	}
	var whole map[string]json.RawMessage
	if json.Unmarshal(raw, &whole) != nil {
		return raw
	}
	var err error
	if whole["properties"], err = json.Marshal(s.Properties); err != nil {
		return raw
	}
	out, err := json.Marshal(whole)
	if err != nil {
		return raw
	}
	return out
}
