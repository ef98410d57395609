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
