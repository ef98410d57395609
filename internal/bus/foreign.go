package bus

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/openmas/openmas/agent"
)

// resultWithRaw is a result whose Raw says more than the one of a tool, or something else.
type resultWithRaw struct {
	*agent.Result
	Raw json.RawMessage `json:"raw,omitempty"`
}

// foreignResult reads the result of a tool as MCP has it.
func foreignResult(raw json.RawMessage) (*agent.Result, error) {
	var m struct {
		Content    []json.RawMessage          `json:"content"`
		Structured json.RawMessage            `json:"structuredContent"`
		Meta       map[string]json.RawMessage `json:"_meta"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	res := &agent.Result{Structured: compact(m.Structured), Meta: m.Meta, Raw: raw}
	for _, block := range m.Content {
		var c agent.Content
		if err := json.Unmarshal(block, &c); err != nil {
			return nil, err
		}
		c.Raw = block
		res.Content = append(res.Content, c)
	}
	return res, nil
}

// compact takes out the space between values, which Structured does not have when a session to the
// server reads the result either.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if !bytes.ContainsAny(raw, " \t\r\n") || json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// isForeign reports whether Raw is all of the result: foreignResult makes the rest of it.
func isForeign(res *agent.Result) bool {
	if len(res.Raw) == 0 || res.Pending != nil {
		return false
	}
	again, err := foreignResult(res.Raw)
	return err == nil && string(again.Structured) == string(compact(res.Structured)) &&
		slices.EqualFunc(again.Content, res.Content, sameBlock) && len(again.Meta) == len(res.Meta) &&
		(len(res.Meta) == 0 || reflect.DeepEqual(again.Meta, res.Meta))
}

func sameBlock(a, b agent.Content) bool {
	a.Raw, b.Raw = nil, nil
	return reflect.DeepEqual(a, b)
}
