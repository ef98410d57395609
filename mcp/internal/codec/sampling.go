package codec

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// Since version 2025-11-25 a sampled message may have several blocks, and a client that says so
// takes tools.

// samplingHasLists reports whether messages of a version may have several blocks.
func samplingHasLists(version string) bool {
	return version == VersionUnknown || version >= Version20251125
}

// SamplesWithTools reports whether a sampling request needs a client whose model uses tools.
func SamplesWithTools(params json.RawMessage) bool {
	o, err := ReadObject(params)
	if err != nil {
		return false
	}
	tools, _ := jsonedit.ParseArray(o.Get("tools"))
	if len(tools) > 0 || o.Get("toolChoice") != nil && kindOf(o.Get("toolChoice")) != "null" {
		return true
	}
	messages, _ := jsonedit.ParseArray(o.Get("messages"))
	return slices.ContainsFunc(messages, func(m json.RawMessage) bool {
		message, _ := jsonedit.ParseObject(m)
		blocks, several := jsonedit.ParseArray(message.Get("content"))
		if !several {
			blocks = []json.RawMessage{message.Get("content")}
		}
		return slices.ContainsFunc(blocks, func(raw json.RawMessage) bool {
			block, err := ReadObject(raw)
			if err != nil {
				return false
			}
			kind := block.text("type")
			return kind == agent.ContentToolUse || kind == agent.ContentToolResult
		})
	})
}

// sampleParams is a sampling request for a client of a version. Where its messages have one block
// each, those with more become several messages of the same role.
func sampleParams(params json.RawMessage, version string) json.RawMessage {
	if samplingHasLists(version) {
		return params
	}
	return jsonedit.Edit(params, []string{"messages"}, func(old json.RawMessage) json.RawMessage {
		messages, ok := jsonedit.ParseArray(old)
		if !ok {
			return old
		}
		var apart []json.RawMessage
		for _, m := range messages {
			o, ok := jsonedit.ParseObject(m)
			blocks, several := jsonedit.ParseArray(o.Get("content"))
			if !ok || !several {
				apart = append(apart, m)
				continue
			}
			for _, block := range blocks {
				o.Set("content", block)
				apart = append(apart, o.Raw())
			}
		}
		return jsonedit.Array(apart)
	})
}

// SampleAnswer is the answer to a sampling request for a server of a version. Where that takes one
// block, several of text become one.
func SampleAnswer(answer json.RawMessage, version string) (json.RawMessage, error) {
	if samplingHasLists(version) {
		return answer, nil
	}
	o, ok := jsonedit.ParseObject(answer)
	blocks, several := jsonedit.ParseArray(o.Get("content"))
	switch {
	case !ok || !several:
		return answer, nil
	case len(blocks) == 1:
		o.Set("content", blocks[0])
		return o.Raw(), nil
	}
	var text []string
	for _, raw := range blocks {
		block, err := ReadObject(raw)
		if err != nil || block.text("type") != agent.ContentText {
			return nil, agent.Errorf(agent.CodeInternal, "the answer to a sampling request has %d blocks, and a server of "+
				"protocol %s takes one", len(blocks), version)
		}
		text = append(text, block.text("text"))
	}
	o.Set("content", textBlock(strings.Join(text, "\n")))
	return o.Raw(), nil
}
