package codec

import (
	"encoding/json"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// Since version 2025-11-25 a sampled message may have several blocks, and a client that says so
// takes tools.

// samplingHasLists reports whether messages of a version may have several blocks.
func samplingHasLists(version string) bool {
	return version == VersionUnknown || version >= Version20251125
}

// SamplesWithTools reports whether a sampling request needs a client whose model uses tools.
func SamplesWithTools(params json.RawMessage) bool {
	var r agent.SampleRequest
	if json.Unmarshal(params, &r) != nil {
		return false // it is refused when it is sent
	}
	return len(r.Tools) > 0 || r.ToolChoice != nil || slices.ContainsFunc(r.Messages, func(m agent.SampleMessage) bool {
		return slices.ContainsFunc(m.Content, func(c agent.Content) bool {
			return c.ToolUse != nil || c.ToolResult != nil
		})
	})
}

// SampleParams is a sampling request for a client of a version. Where its messages have one block
// each, those with more become several messages of the same role.
func SampleParams(params json.RawMessage, version string) (*sdk.CreateMessageWithToolsParams, error) {
	var p sdk.CreateMessageWithToolsParams
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "decode a sampling request: %w", err)
	}
	if samplingHasLists(version) {
		return &p, nil
	}
	var apart []*sdk.SamplingMessageV2
	for _, m := range p.Messages {
		for _, block := range m.Content {
			apart = append(apart, &sdk.SamplingMessageV2{Role: m.Role, Content: []sdk.Content{block}})
		}
	}
	p.Messages = apart
	return &p, nil
}

// SampleAnswer reads the answer to a sampling request for a server of a version. Where that takes
// one block, several of text become one.
func SampleAnswer(answer json.RawMessage, version string, res *sdk.CreateMessageWithToolsResult) error {
	if err := json.Unmarshal(answer, res); err != nil {
		return agent.Errorf(agent.CodeInternal, "the answer to a sampling request does not decode: %w", err)
	}
	if samplingHasLists(version) || len(res.Content) == 1 {
		return nil
	}
	var text []string
	for _, block := range res.Content {
		t, ok := block.(*sdk.TextContent)
		if !ok {
			return agent.Errorf(agent.CodeInternal, "the answer to a sampling request has %d blocks, and a server of "+
				"protocol %s takes one", len(res.Content), version)
		}
		text = append(text, t.Text)
	}
	res.Content = []sdk.Content{&sdk.TextContent{Text: strings.Join(text, "\n")}}
	return nil
}
