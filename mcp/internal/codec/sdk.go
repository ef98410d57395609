package codec

import (
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// This file holds what works round the SDK: since 2026-07-28 each result says what type it is,
// which the SDK keeps to itself but reads from JSON. sdk_test.go fails when an upgrade makes it
// needless.

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
