package agent

import (
	"context"
	"encoding/json"
)

// SampleRequest asks the caller's model. Its JSON is that of MCP's sampling/createMessage.
type SampleRequest struct {
	Messages      []SampleMessage `json:"messages"`
	SystemPrompt  string          `json:"systemPrompt,omitempty"`
	MaxTokens     int64           `json:"maxTokens"`
	Temperature   float64         `json:"temperature,omitempty"`
	StopSequences []string        `json:"stopSequences,omitempty"`
	// IncludeContext is "none", "thisServer" or "allServers"; MCP advises against the last two.
	IncludeContext   string          `json:"includeContext,omitempty"`
	ModelPreferences json.RawMessage `json:"modelPreferences,omitempty"`
	Metadata         json.RawMessage `json:"metadata,omitempty"`
	// Tools are what the model may use: its answer holds blocks of type tool_use then, and whoever
	// asked runs the tools and asks again with their results. A caller whose model cannot use tools
	// refuses the request with unavailable.
	Tools      []ToolInfo  `json:"tools,omitempty"`
	ToolChoice *ToolChoice `json:"toolChoice,omitempty"`
}

// ToolChoice says whether a model is to use the tools of a [SampleRequest].
type ToolChoice struct {
	// Mode is [ToolsAuto] when empty.
	Mode string `json:"mode,omitempty"`
}

// The modes of a [ToolChoice].
const (
	ToolsAuto     = "auto"     // the model decides
	ToolsRequired = "required" // at least one
	ToolsNone     = "none"
)

// SampleMessage is one turn of a sampled conversation.
type SampleMessage struct {
	Role    string          `json:"role"`
	Content Blocks          `json:"content"`
	Meta    json.RawMessage `json:"_meta,omitempty"`
}

// UserMessage is a turn of the user.
func UserMessage(blocks ...Content) SampleMessage {
	return SampleMessage{Role: RoleUser, Content: blocks}
}

// SampleResult is the model's answer.
type SampleResult struct {
	Role    string `json:"role"`
	Content Blocks `json:"content"`
	Model   string `json:"model"`
	// StopReason is "endTurn", "stopSequence", "maxTokens", "toolUse", or a word of the model's.
	StopReason string          `json:"stopReason,omitempty"`
	Meta       json.RawMessage `json:"_meta,omitempty"`
}

// Message is the answer as a turn of the conversation, to go on with.
func (r SampleResult) Message() SampleMessage { return SampleMessage{Role: r.Role, Content: r.Content} }

// Sample asks the model of whoever called. unavailable: the caller has none to offer.
func Sample(ctx context.Context, r SampleRequest) (SampleResult, error) {
	return askBack[SampleResult](ctx, AskSample, r)
}
