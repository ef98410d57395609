package agent

import (
	"context"
	"encoding/json"
	"reflect"
)

// ElicitRequest asks the caller's user for values that fit a flat JSON schema. Its JSON is that of
// MCP's elicitation/create.
type ElicitRequest struct {
	Message         string          `json:"message"`
	RequestedSchema json.RawMessage `json:"requestedSchema"`
	// URL is a page that the user is to visit, in place of filling in a form.
	URL string `json:"url,omitempty"`
}

// What a user does with an [ElicitRequest].
const (
	ElicitAccept  = "accept"
	ElicitDecline = "decline"
	ElicitCancel  = "cancel"
)

// ElicitResult is the user's answer; Content is set when Action is accept.
type ElicitResult struct {
	Action  string          `json:"action"`
	Content json.RawMessage `json:"content,omitempty"`
}

// Elicit asks the user of whoever called to fill in T, a flat struct of strings, numbers and
// booleans. permission_denied: the user declined; canceled: dismissed the question; unavailable:
// there is no user to ask.
func Elicit[T any](ctx context.Context, message string) (T, error) {
	var out T
	schema, err := inferSchema(reflect.TypeFor[T]())
	if err != nil {
		return out, Errorf(CodeInternal, "elicit: infer the schema of %T: %w", out, err)
	}
	res, err := askBack[ElicitResult](ctx, AskElicit, ElicitRequest{Message: message, RequestedSchema: schema})
	switch {
	case err != nil:
		return out, err
	case res.Action == ElicitDecline:
		return out, Errorf(CodePermissionDenied, "the user declined: %s", message)
	case res.Action != ElicitAccept:
		return out, Errorf(CodeCanceled, "the user dismissed the question: %s", message)
	}
	check, err := compileSchema(schema)
	if err != nil {
		return out, Errorf(CodeInternal, "elicit: the schema of %T: %w", out, err)
	}
	if err := check(objectOr(res.Content)); err != nil {
		return out, Errorf(CodeInvalidArgument, "elicit: the user's answer: %w", err)
	}
	if err := json.Unmarshal(objectOr(res.Content), &out); err != nil {
		return out, Errorf(CodeInvalidArgument, "elicit: the user's answer does not decode: %w", err)
	}
	return out, nil
}
