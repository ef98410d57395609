package held

import (
	"encoding/json"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A CapabilityError says that a call failed because the client lacks a capability.
type CapabilityError struct {
	Lack string // as [Lacks] names it
	Err  *agent.Error
}

func (e *CapabilityError) Error() string { return e.Err.Error() }

// RPC is what the protocol says then.
func (e *CapabilityError) RPC() *jsonrpc.Error {
	required := map[string]any{e.Lack: struct{}{}}
	if of, part, ok := strings.Cut(e.Lack, "."); ok {
		required = map[string]any{of: map[string]any{part: struct{}{}}}
	}
	data, err := json.Marshal(struct {
		Required map[string]any `json:"requiredCapabilities"`
		codec.RPCErrorData
	}{required, codec.RPCErrorData{Error: e.Err}})
	if err != nil {
		data = nil // details that are no JSON
	}
	return &jsonrpc.Error{Code: sdk.CodeMissingRequiredClientCapabilities, Message: e.Error(), Data: data}
}

// CanBeAsked reports whether a client answers questions of any kind.
func CanBeAsked(caps *sdk.ClientCapabilities) bool {
	return caps != nil && (caps.Sampling != nil || caps.Elicitation != nil || caps.RootsV2 != nil)
}

// Parts of capabilities.
const (
	samplingTools = "sampling.tools"
	elicitForms   = "elicitation.form"
	elicitURLs    = "elicitation.url"
)

// Lacks is the capability that a client would need to answer a question; empty when it has it.
func Lacks(caps *sdk.ClientCapabilities, r agent.Request) string {
	if caps == nil {
		caps = &sdk.ClientCapabilities{}
	}
	switch {
	case r.Kind == agent.AskSample && caps.Sampling == nil:
		return "sampling"
	case r.Kind == agent.AskSample && caps.Sampling.Tools == nil && codec.SamplesWithTools(r.Params):
		return samplingTools
	case r.Kind == agent.AskElicit && caps.Elicitation == nil:
		return "elicitation"
	case r.Kind == agent.AskElicit:
		return lacksMode(caps.Elicitation, codec.ElicitMode(r.Params))
	case r.Kind == agent.AskRoots && caps.RootsV2 == nil:
		return "roots"
	case r.Kind == agent.AskSample || r.Kind == agent.AskRoots:
		return ""
	}
	return r.Kind // a question that MCP does not have
}

// lacksMode is [Lacks] for a way to elicit. A client that names none knows forms.
func lacksMode(caps *sdk.ElicitationCapabilities, mode string) string {
	switch {
	case mode == codec.ElicitForm && caps.Form == nil && caps.URL != nil:
		return elicitForms
	case mode == codec.ElicitURL && caps.URL == nil:
		return elicitURLs
	}
	return ""
}

// CannotAnswer is the error of a question that the client lacks a capability for.
func CannotAnswer(kind, lack string) error {
	switch lack {
	case samplingTools:
		return agent.Errorf(agent.CodeUnavailable, "the client does not answer %q requests with tools", kind)
	case elicitForms, elicitURLs:
		return agent.Errorf(agent.CodeUnavailable, "the client does not answer %q requests of mode %q", kind,
			strings.TrimPrefix(lack, "elicitation."))
	}
	return agent.Errorf(agent.CodeUnavailable, "the client does not answer %q requests", kind)
}
