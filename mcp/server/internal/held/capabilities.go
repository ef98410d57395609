package held

import (
	"encoding/json"

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
	if e.Lack == samplingTools {
		required = map[string]any{"sampling": map[string]any{"tools": struct{}{}}}
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

const samplingTools = "sampling.tools"

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
	case r.Kind == agent.AskRoots && caps.RootsV2 == nil:
		return "roots"
	case r.Kind == agent.AskSample || r.Kind == agent.AskElicit || r.Kind == agent.AskRoots:
		return ""
	}
	return r.Kind // a question that MCP does not have
}

// CannotAnswer is the error of a question that the client lacks a capability for.
func CannotAnswer(kind, lack string) error {
	if lack == samplingTools {
		return agent.Errorf(agent.CodeUnavailable, "the client does not answer %q requests with tools", kind)
	}
	return agent.Errorf(agent.CodeUnavailable, "the client does not answer %q requests", kind)
}
