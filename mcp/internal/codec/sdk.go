package codec

import (
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// This file holds what works round the SDK: since 2026-07-28 each result says what type it is,
// which the SDK keeps to itself but reads from JSON. sdk_test.go fails when an upgrade makes it
// needless.

// inputRequiredType is the type of a result that wants input.
const inputRequiredType = "input_required"

type inputRequired struct {
	ResultType string                `json:"resultType"`
	Requests   map[string]askedInput `json:"inputRequests,omitempty"`
	State      string                `json:"requestState,omitempty"`
}

type askedInput struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// EncodePending makes res, a result of the SDK, say that it wants input.
func EncodePending(p *agent.Pending, res any) error {
	out := inputRequired{ResultType: inputRequiredType, Requests: map[string]askedInput{}, State: p.State}
	for id, r := range p.Requests {
		method, ok := askMethods[r.Kind]
		if !ok {
			return agent.Errorf(agent.CodeInternal, "the call wants input of an unknown kind: %q", r.Kind)
		}
		params := r.Params
		if len(params) == 0 {
			params = json.RawMessage("{}")
		}
		out.Requests[id] = askedInput{method, params}
	}
	raw, err := json.Marshal(out)
	if err == nil {
		err = json.Unmarshal(raw, res)
	}
	if err != nil {
		return agent.Errorf(agent.CodeInternal, "the call wants input, but its questions are none of MCP's: %w", err)
	}
	return nil
}

// CompleteToolResult marks a result of protocol 2026-07-28 as complete, as the SDK does in handlers
// of its own.
func CompleteToolResult(res *sdk.CallToolResult) *sdk.CallToolResult {
	var out sdk.CallToolResult
	if json.Unmarshal([]byte(`{"content":[],"resultType":"complete"}`), &out) != nil {
		return res // cannot happen
	}
	out.Meta, out.Content, out.StructuredContent, out.IsError = res.Meta, res.Content, res.StructuredContent,
		res.IsError
	return &out
}

// CompletePromptResult is [CompleteToolResult] for a prompt.
func CompletePromptResult(res *sdk.GetPromptResult) *sdk.GetPromptResult {
	var out sdk.GetPromptResult
	if json.Unmarshal([]byte(`{"messages":[],"resultType":"complete"}`), &out) != nil {
		return res // cannot happen
	}
	out.Meta, out.Description, out.Messages = res.Meta, res.Description, res.Messages
	return &out
}

// CompleteResourceResult is [CompleteToolResult] for a resource.
func CompleteResourceResult(res *sdk.ReadResourceResult) *sdk.ReadResourceResult {
	var out sdk.ReadResourceResult
	if json.Unmarshal([]byte(`{"contents":[],"resultType":"complete"}`), &out) != nil {
		return res // cannot happen
	}
	out.Meta, out.Cacheable, out.Contents = res.Meta, res.Cacheable, res.Contents
	return &out
}
