package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
)

// A BackChannel leads from a running call back to whoever made it. Both methods may be used
// concurrently, until the call has been answered.
//
// Some callers cannot be asked while their request waits: MCP clients of protocol 2026-07-28. Their
// call waits between two requests, up to 10 minutes. Where too many wait, a tool that is safe to
// repeat is canceled, and runs again from its start when the answer has come; what it asked before
// then gets the same answer as before. The call's timeout stands still while a question is open.
type BackChannel interface {
	// Notify tells the caller something. It is best effort and does not wait for the caller.
	Notify(ctx context.Context, n Notice)
	// Request asks the caller something and waits for the answer. A caller that cannot answer is an
	// unavailable error.
	Request(ctx context.Context, r Request) (json.RawMessage, error)
}

// ErrAnswersFollow is the cause with which the context of a call ends when its caller was asked
// something, and is to make the call again with the answers. The call has not used its [Call.Key]
// then.
var ErrAnswersFollow = errors.New("the client is asked, and makes the call again with its answer")

// A Notice is one of its members.
type Notice struct {
	Progress *ProgressNotice `json:"progress,omitempty"`
	Log      *LogNotice      `json:"log,omitempty"`
	// Content is a part of the result that is there before the call has ended. The result has it
	// too: a caller that drops notices misses nothing but time.
	Content []Content `json:"content,omitempty"`
	// ElicitComplete is the id of an [ElicitURLRequest]: what the user was sent to its page for is
	// done.
	ElicitComplete string `json:"elicitComplete,omitempty"`
	// Raw are the params of the notification that a foreign server sent, of which the notice was
	// made. They are what is passed on to MCP clients, with a progress token of theirs; empty for
	// notices of our own.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// ProgressNotice says how far a call has come. Total is 0 when unknown; Progress grows from one
// notice to the next.
type ProgressNotice struct {
	Progress float64 `json:"progress"`
	Total    float64 `json:"total,omitempty"`
	Message  string  `json:"message,omitempty"`
}

// LogNotice is a log line meant for the caller. Data is JSON.
type LogNotice struct {
	Level  slog.Level      `json:"level"`
	Logger string          `json:"logger,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// The kinds of requests to a caller.
const (
	AskSample = "sample" // ask its model: MCP's sampling/createMessage
	AskElicit = "elicit" // ask its user: MCP's elicitation/create
	AskRoots  = "roots"  // ask which folders it works on: MCP's roots/list
)

// A Request is a question to the caller. Params and the answer have the shapes of MCP's requests of
// that kind.
type Request struct {
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params,omitempty"`
}

// Root is a folder or file that the caller works on.
type Root struct {
	URI  string `json:"uri"`
	Name string `json:"name,omitempty"`
}
