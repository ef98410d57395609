package codec

import (
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// ToErrorResult says err as the result of a tool call: MCP wants the model to see it. trusted: it
// is for one of our own processes.
func ToErrorResult(err error, trusted bool) *sdk.CallToolResult {
	e := agent.AsError(err)
	text := e.Error()
	if e.Code == agent.CodeToolFailed && e.Message != "" {
		text = e.Message
	}
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: text}},
		Meta: errorMeta(e, trusted)}
}

// errorMeta is what results say of an error beyond MCP. What our processes keep of it for each
// other is not for strangers.
func errorMeta(e *agent.Error, trusted bool) sdk.Meta {
	meta := sdk.Meta{MetaCode: string(e.Code)}
	if e.RetryAfter > 0 {
		meta[MetaRetryAfter] = e.RetryAfter.Milliseconds()
	}
	if len(e.Details) > 0 {
		meta[metaDetails] = e.Details
	}
	if len(e.RPC) > 0 && trusted {
		meta[metaRPC] = e.RPC
	}
	if e.NotExecuted {
		meta[MetaNotExecuted] = true
	}
	if e.Logged && trusted {
		meta[metaLogged] = true
	}
	if e.Trace != "" {
		meta[wire.TraceParent] = e.Trace
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
