package codec

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// Since 2026-07-28 a server cannot ask its client while a call waits: the call ends with a result
// that wants input, and is made again with it. The SDK keeps what kind a result is to itself, but
// reads it from JSON.

// askMethods are MCP's names of the kinds of questions.
var askMethods = map[string]string{agent.AskSample: "sampling/createMessage", agent.AskElicit: "elicitation/create",
	agent.AskRoots: "roots/list"}

type inputRequired struct {
	ResultType string                `json:"resultType"`
	Requests   map[string]askedInput `json:"inputRequests,omitempty"`
	State      string                `json:"requestState,omitempty"`
}

type askedInput struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// EncodePending makes res, a result of the SDK, say that it wants input.
func EncodePending(p *agent.Pending, res any) error {
	out := inputRequired{ResultType: "input_required", Requests: map[string]askedInput{}, State: p.State}
	for id, r := range p.Requests {
		method, ok := askMethods[r.Kind]
		if !ok {
			return agent.Errorf(agent.CodeInternal, "the call wants input of an unknown kind: %q", r.Kind)
		}
		params := r.Params
		if len(params) == 0 {
			params = json.RawMessage("{}")
		}
		out.Requests[id] = askedInput{method, params}
	}
	raw, err := json.Marshal(out)
	if err == nil {
		err = json.Unmarshal(raw, res)
	}
	if err != nil {
		return agent.Errorf(agent.CodeInternal, "the call wants input, but its questions are none of MCP's: %w", err)
	}
	return nil
}

// DecodePending reads what a server wants before a call can go on; nil if that is nothing.
func DecodePending(wants bool, requests sdk.InputRequestMap, state string) (*agent.Pending, error) {
	if !wants {
		return nil, nil
	}
	p := &agent.Pending{State: state, Requests: map[string]agent.Request{}}
	for id, r := range requests {
		kind := ""
		switch r.(type) {
		case *sdk.ElicitParams:
			kind = agent.AskElicit
		case *sdk.CreateMessageParams, *sdk.CreateMessageWithToolsParams:
			kind = agent.AskSample
		case *sdk.ListRootsParams:
			kind = agent.AskRoots
		}
		params, err := json.Marshal(r)
		if err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "the input that the server wants: %w", err)
		}
		p.Requests[id] = agent.Request{Kind: kind, Params: params}
	}
	return p, nil
}

// FromInputResponses are a client's answers, as JSON.
func FromInputResponses(m sdk.InputResponseMap) (map[string]json.RawMessage, error) {
	if len(m) == 0 {
		return nil, nil
	}
	out := make(map[string]json.RawMessage, len(m))
	for id, r := range m {
		raw, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("the answer %q: %w", id, err)
		}
		out[id] = raw
	}
	return out, nil
}

// ToInputResponses is fromResponses in the other direction.
func ToInputResponses(in map[string]json.RawMessage) (sdk.InputResponseMap, error) {
	if len(in) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "the input of a call: %w", err)
	}
	var out sdk.InputResponseMap
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "the input of a call is no answer that MCP knows: %w",
			err)
	}
	return out, nil
}

// complete marks results of protocol 2026-07-28, as the SDK would.
func CompleteToolResult(res *sdk.CallToolResult) *sdk.CallToolResult {
	var out sdk.CallToolResult
	if json.Unmarshal([]byte(`{"content":[],"resultType":"complete"}`), &out) != nil {
		return res // cannot happen
	}
	out.Meta, out.Content, out.StructuredContent, out.IsError = res.Meta, res.Content, res.StructuredContent,
		res.IsError
	return &out
}

func CompletePromptResult(res *sdk.GetPromptResult) *sdk.GetPromptResult {
	var out sdk.GetPromptResult
	if json.Unmarshal([]byte(`{"messages":[],"resultType":"complete"}`), &out) != nil {
		return res // cannot happen
	}
	out.Meta, out.Description, out.Messages = res.Meta, res.Description, res.Messages
	return &out
}

func CompleteResourceResult(res *sdk.ReadResourceResult) *sdk.ReadResourceResult {
	var out sdk.ReadResourceResult
	if json.Unmarshal([]byte(`{"contents":[],"resultType":"complete"}`), &out) != nil {
		return res // cannot happen
	}
	out.Meta, out.Cacheable, out.Contents = res.Meta, res.Cacheable, res.Contents
	return &out
}

// MaxRounds bounds how often one call may come back asking for input.
const MaxRounds = 10

// CollectInputs gets from the client what a call waits for.
func CollectInputs(ctx context.Context, back agent.BackChannel, p *agent.Pending) (map[string]json.RawMessage, error) {
	if back == nil || len(p.Requests) == 0 {
		return nil, agent.Errorf(agent.CodeUnavailable, "the call wants input, and there is nobody to ask")
	}
	out := make(map[string]json.RawMessage, len(p.Requests))
	for _, id := range slices.Sorted(maps.Keys(p.Requests)) {
		v, err := back.Request(ctx, p.Requests[id])
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", id, err)
		}
		out[id] = v
	}
	return out, nil
}
