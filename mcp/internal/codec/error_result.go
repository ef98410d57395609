package codec

import (
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// ToErrorResult says err as the result of a tool call: MCP wants the model to see it.
func ToErrorResult(err error) *sdk.CallToolResult {
	e := agent.AsError(err)
	text := e.Error()
	if e.Code == agent.CodeToolFailed && e.Message != "" {
		text = e.Message
	}
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: text}}, Meta: errorMeta(e)}
}

// errorMeta is what results say of an error beyond MCP.
func errorMeta(e *agent.Error) sdk.Meta {
	meta := sdk.Meta{MetaCode: string(e.Code)}
	if e.RetryAfter > 0 {
		meta[MetaRetryAfter] = e.RetryAfter.Milliseconds()
	}
	if len(e.Details) > 0 {
		meta[metaDetails] = e.Details
	}
	if e.NotExecuted {
		meta[MetaNotExecuted] = true
	}
	if e.Logged {
		meta[metaLogged] = true
	}
	return meta
}

// plainMessage takes the code off a text of the form "code: message".
func plainMessage(code agent.Code, text string) string {
	if text == string(code) {
		return ""
	}
	return strings.TrimPrefix(text, string(code)+": ")
}
