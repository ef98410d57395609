package main

import "encoding/json"

// maxBody bounds what the other side may send at once, in bytes.
const maxBody = 8 << 20

// A message is a turn of the conversation.
type message struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

// A toolCall is what the model wants called. The arguments are JSON in a text, if the model made no
// mistake.
type toolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// A toolSpec shows a tool to the model.
type toolSpec struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

func newToolSpec(name, description string, parameters json.RawMessage) toolSpec {
	s := toolSpec{Type: "function"}
	s.Function.Name, s.Function.Description, s.Function.Parameters = name, description, parameters
	return s
}

// A chatRequest is the body of a request to chat/completions.
type chatRequest struct {
	Model         string     `json:"model"`
	Messages      []message  `json:"messages"`
	Tools         []toolSpec `json:"tools,omitempty"`
	Stream        bool       `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// A chunk is one event of the stream.
type chunk struct {
	ID      string `json:"id"`
	Model   string `json:"model"`
	Choices []struct {
		Delta struct {
			Content   string      `json:"content"`
			ToolCalls []toolDelta `json:"tool_calls"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		In  int `json:"prompt_tokens"`
		Out int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// A toolDelta is a piece of a call.
type toolDelta struct {
	Index    int    `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}
