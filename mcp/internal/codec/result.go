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
		return ToErrorResult(agent.Errorf(agent.CodeInternal, "the structured value of the result is no JSON"), ours)
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

// CompleteRef says what a call of agent.OpComplete is about: a prompt, or the template of resources
// that name spells.
func CompleteRef(name string) *sdk.CompleteReference {
	if strings.Contains(name, "://") || strings.Contains(name, "{") {
		return &sdk.CompleteReference{Type: "ref/resource", URI: name}
	}
	return &sdk.CompleteReference{Type: "ref/prompt", Name: name}
}

// reencode decodes into out what was decoded from JSON before.
func reencode(v, out any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// ResultSize is how many bytes a result has as a message, about and at least; ours as in
// [ToToolResult].
func ResultSize(res *agent.Result, ours bool) int {
	switch {
	case res == nil:
		return 0
	case len(res.Raw) > 0:
		return len(res.Raw)
	}
	size := len(res.Structured)
	if size > 1024 && len(res.Content) == 0 && !ours && isObject(res.Structured) {
		size *= 2 // it is said as text too
	}
	for i := range res.Content {
		c := &res.Content[i]
		size += len(c.Text) + len(c.Data)/3*4
		if c.Resource != nil {
			size += len(c.Resource.Text) + len(c.Resource.Blob)/3*4
		}
	}
	return size
}
