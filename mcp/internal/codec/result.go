package codec

import (
	"encoding/json"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// ToToolResult converts res to MCP of that version. Our own clients get a structured value once, as
// text, which keeps every digit of its numbers; others get it twice, as the protocol wants. That a
// result wants input (Pending) is sent to our own only: for others that is settled before. A value
// that is no JSON is an internal error.
func ToToolResult(res *agent.Result, version string, ours bool) *sdk.CallToolResult {
	if res == nil {
		res = &agent.Result{}
	}
	if len(res.Structured) > 0 && !json.Valid(res.Structured) {
		return ToErrorResult(agent.Errorf(agent.CodeInternal, "the structured value of the result is no JSON"))
	}
	out := &sdk.CallToolResult{Meta: resultMeta(res.Meta), Content: toContent(res.Content, version)}
	switch alone := len(res.Content) == 0; {
	case len(res.Structured) == 0:
	case alone:
		out.Content = []sdk.Content{&sdk.TextContent{Text: string(res.Structured)}}
		out.Meta[metaGenerated] = true
		if !ours && isObject(res.Structured) {
			out.StructuredContent = res.Structured
		}
	case !ours && isObject(res.Structured):
		out.StructuredContent = res.Structured
	default:
		out.Meta[metaStructured] = string(res.Structured)
	}
	if res.Pending != nil {
		out.Meta[metaPending] = res.Pending
	}
	if len(out.Meta) == 0 {
		out.Meta = nil
	}
	return out
}

// FromToolResult reads the answer to tools/call: a result, or the error that an isError result
// stands for. What our own servers say beyond MCP counts only when the peer is trusted. The error
// is an *agent.Error.
func FromToolResult(res *sdk.CallToolResult, trusted bool) (*agent.Result, error) {
	if res.IsError {
		return nil, fromErrorResult(res, trusted)
	}
	out := &agent.Result{Content: FromContent(res.Content), Meta: rawMeta(res.Meta)}
	if v, ok := res.Meta[metaPending]; ok && trusted {
		out.Pending = &agent.Pending{}
		if err := reencode(v, out.Pending); err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "the result wants input, but does not say which: %w", err)
		}
	}
	if res.NeedsInput() {
		var err error
		if out.Pending, err = DecodePending(true, res.InputRequests, res.RequestState); err != nil {
			return nil, err
		}
	}
	// Text is exact where the SDK has decoded the structured content and lost the digits of large
	// numbers.
	if generated, _ := res.Meta[metaGenerated].(bool); generated && trusted && len(out.Content) == 1 &&
		json.Valid([]byte(out.Content[0].Text)) {
		out.Structured, out.Content = json.RawMessage(out.Content[0].Text), nil
		return out, nil
	}
	if text, ok := res.Meta[metaStructured].(string); ok && trusted && json.Valid([]byte(text)) {
		out.Structured = json.RawMessage(text)
		return out, nil
	}
	structured := res.StructuredContent
	if structured != nil {
		raw, err := json.Marshal(structured)
		if err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "the structured content does not encode: %w", err)
		}
		out.Structured = raw
	}
	return out, nil
}

// ToPromptResult says the result of a call of agent.OpPrompt in MCP.
func ToPromptResult(res *agent.Result, version string) (*sdk.GetPromptResult, error) {
	p, err := res.Prompt()
	if err != nil {
		return nil, err
	}
	out := &sdk.GetPromptResult{Description: p.Description, Messages: make([]*sdk.PromptMessage, 0, len(p.Messages))}
	for _, m := range p.Messages {
		out.Messages = append(out.Messages,
			&sdk.PromptMessage{Role: sdk.Role(m.Role), Content: toBlock(m.Content, version)})
	}
	return out, nil
}

// FromPromptResult is the result of a call of agent.OpPrompt.
func FromPromptResult(res *sdk.GetPromptResult) (*agent.Result, error) {
	out := agent.PromptResult{Description: res.Description, Messages: make([]agent.Message, 0, len(res.Messages))}
	for _, m := range res.Messages {
		out.Messages = append(out.Messages, agent.Message{Role: string(m.Role), Content: FromBlock(m.Content)})
	}
	return asResult(out)
}

// ToResourceResult says the result of a call of agent.OpResource in MCP.
func ToResourceResult(res *agent.Result) *sdk.ReadResourceResult {
	out := &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{}}
	for _, c := range res.Content {
		if c.Resource != nil {
			out.Contents = append(out.Contents, toContents(c.Resource))
		}
	}
	return out
}

// FromResourceResult is the result of a call of agent.OpResource.
func FromResourceResult(res *sdk.ReadResourceResult) *agent.Result {
	out := &agent.Result{}
	for _, c := range res.Contents {
		out.Content = append(out.Content, agent.Embed(fromContents(c)))
	}
	return out
}

// ToCompleteResult says the result of a call of agent.OpComplete in MCP.
func ToCompleteResult(res *agent.Result) (*sdk.CompleteResult, error) {
	var c agent.Completion
	if err := res.Decode(&c); err != nil {
		return nil, err
	}
	if c.Values == nil {
		c.Values = []string{}
	}
	return &sdk.CompleteResult{Completion: sdk.CompletionResultDetails{Values: c.Values, Total: c.Total,
		HasMore: c.HasMore}}, nil
}

// FromCompleteResult is the result of a call of agent.OpComplete.
func FromCompleteResult(res *sdk.CompleteResult) (*agent.Result, error) {
	return asResult(agent.Completion{Values: res.Completion.Values, Total: res.Completion.Total,
		HasMore: res.Completion.HasMore})
}

// CompleteRef says what a call of agent.OpComplete is about: a prompt, or the template of resources
// that name spells.
func CompleteRef(name string) *sdk.CompleteReference {
	if strings.Contains(name, "://") || strings.Contains(name, "{") {
		return &sdk.CompleteReference{Type: "ref/resource", URI: name}
	}
	return &sdk.CompleteReference{Type: "ref/prompt", Name: name}
}

func asResult(v any) (*agent.Result, error) {
	res, err := agent.JSONResult(v)
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "%w", err)
	}
	return res, nil
}

// reencode decodes into out what was decoded from JSON before.
func reencode(v, out any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func isObject(raw json.RawMessage) bool {
	trimmed := strings.TrimLeft(string(raw[:min(len(raw), 64)]), " \t\r\n")
	return strings.HasPrefix(trimmed, "{")
}
