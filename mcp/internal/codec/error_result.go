package codec

import (
	"encoding/json"
	"strings"
	"time"

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
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: text}}, Meta: meta}
}

// fromErrorResult is toErrorResult in the other direction. Without a code it is the tool that
// failed. Only a trusted peer's word on what did not run is taken.
func fromErrorResult(res *sdk.CallToolResult, trusted bool) *agent.Error {
	text := (&agent.Result{Content: FromContent(res.Content)}).Text()
	code, _ := res.Meta[MetaCode].(string)
	if code == "" {
		e := agent.Errorf(agent.CodeToolFailed, "%s", text)
		if res.StructuredContent != nil {
			if raw, err := json.Marshal(res.StructuredContent); err == nil {
				e.Details = raw
			}
		}
		return e
	}
	e := &agent.Error{Code: agent.ParseCode(code),
		RetryAfter: time.Duration(max(metaInt(res.Meta, MetaRetryAfter), 0)) * time.Millisecond}
	e.Message = plainMessage(e.Code, text)
	if d, ok := res.Meta[metaDetails]; ok {
		if raw, err := json.Marshal(d); err == nil {
			e.Details = raw
		}
	}
	if not, _ := res.Meta[MetaNotExecuted].(bool); not && trusted {
		e.NotExecuted = true
	}
	return e
}

// plainMessage takes the code off a text of the form "code: message".
func plainMessage(code agent.Code, text string) string {
	if text == string(code) {
		return ""
	}
	return strings.TrimPrefix(text, string(code)+": ")
}
