package agent

import (
	"context"
	"encoding/json"
)

// maxCompletions is MCP's limit on the values of one answer.
const maxCompletions = 100

// CompleteFunc proposes values for an argument that begins with prefix, best first. others are the
// arguments that are known already.
type CompleteFunc func(ctx context.Context, prefix string, others map[string]string) ([]string, error)

// CompleteRequest is the input of a call of [OpComplete].
type CompleteRequest struct {
	Argument string            `json:"argument"`
	Value    string            `json:"value"`
	Others   map[string]string `json:"others,omitempty"`
}

// Completion is the answer: at most 100 values. Total is how many there are, 0 if unknown.
type Completion struct {
	Values  []string `json:"values"`
	Total   int      `json:"total,omitempty"`
	HasMore bool     `json:"hasMore,omitempty"`
}

func complete(ctx context.Context, c *Call, fns map[string]CompleteFunc) (*Result, error) {
	var req CompleteRequest
	if err := json.Unmarshal(objectOr(c.Input), &req); err != nil {
		return nil, Refusedf(CodeInvalidArgument, "complete %s: %w", c.Target(), err)
	}
	out := Completion{Values: []string{}}
	if fn := fns[req.Argument]; fn != nil {
		values, err := fn(ctx, req.Value, req.Others)
		if err != nil {
			return nil, toolError(ctx, err)
		}
		out.Total = len(values)
		if len(values) > maxCompletions {
			values, out.HasMore = values[:maxCompletions], true
		}
		out.Values = append(out.Values, values...)
	}
	return JSONResult(out)
}
