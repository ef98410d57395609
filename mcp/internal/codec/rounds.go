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
// that wants input, and is made again with it.

// Pending is the result that asks a client of protocol 2026-07-28 what a call wants to know.
func (f RawFormat) Pending(p *agent.Pending) (json.RawMessage, error) {
	out := inputRequired{ResultType: inputRequiredType, Requests: map[string]askedInput{}, State: p.State,
		Meta: map[string]json.RawMessage{sdk.MetaKeyServerInfo: f.Self}}
	for id, r := range p.Requests {
		method, ok := askMethods[r.Kind]
		if !ok {
			return nil, agent.Errorf(agent.CodeInternal, "the call wants input of an unknown kind: %q", r.Kind)
		}
		params, err := QuestionFor(r, f.Version, nil)
		if err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "the call wants input: %w", err)
		}
		out.Requests[id] = askedInput{method, params}
	}
	raw, err := AppendJSON(nil, out)
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "the call wants input: %w", err)
	}
	return raw, nil
}

// ReadQuestion takes out of the params of a question what only our own servers say there: the id of
// the call that asks. Empty: it does not say.
func ReadQuestion(params json.RawMessage) (question json.RawMessage, id string) {
	if question = ParamsFor(params, nil, nil); question == nil {
		return params, ""
	}
	o, err := ReadObject(params)
	if err != nil {
		return params, ""
	}
	if meta, err := ReadObject(o.Get("_meta")); err == nil {
		id = meta.text(MetaID)
	}
	return question, id
}

// QuestionFor are the params of a question to a client of a version, with what meta adds. What only
// our own servers may say is taken out.
func QuestionFor(r agent.Request, version string, meta sdk.Meta) (json.RawMessage, error) {
	params := r.Params
	if len(params) == 0 || string(params) == "null" {
		params = json.RawMessage("{}")
	}
	if params = ParamsFor(params, nil, meta); params == nil {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "the params of a %q request are no JSON object", r.Kind)
	}
	switch r.Kind {
	case agent.AskSample:
		params = sampleParams(params, version)
	case agent.AskElicit:
		params = elicitParams(params, version)
	}
	return params, nil
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
