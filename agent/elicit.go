package agent

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
)

// ElicitRequest asks the caller's user for values that fit a flat JSON schema. Its JSON is that of
// MCP's elicitation/create.
type ElicitRequest struct {
	Message         string          `json:"message"`
	RequestedSchema json.RawMessage `json:"requestedSchema"`
}

// ElicitURLRequest asks the caller's user to visit a page. Its JSON is that of MCP's
// elicitation/create in mode "url", but for the mode.
type ElicitURLRequest struct {
	Message string `json:"message"`
	URL     string `json:"url"`
	// ID is what [ElicitComplete] names. A server of MCP 2026-07-28 has none.
	ID string `json:"elicitationId,omitempty"`
}

// The ways to ask a user, MCP's modes.
const (
	elicitForm = "form"
	elicitURL  = "url"
)

// What a user does with an [ElicitRequest] or an [ElicitURLRequest].
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
	res, err := elicit(ctx, message, ElicitRequest{Message: message, RequestedSchema: schema})
	if err != nil {
		return out, err
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

// ElicitURL asks the user of whoever called to visit a page: for what must not pass through the
// caller, such as a password, a payment, or a consent to another service. It returns when the user
// agrees to visit it, which does not mean that the page is done with; [ElicitComplete] reports
// that with the id. The errors are those of [Elicit]; unavailable also where the caller's user
// cannot be sent to pages.
//
// Whoever opens the page may be another than who called: the page itself is to find out. The
// address is shown to the user, and is to hold no secret.
func ElicitURL(ctx context.Context, message, url string) (id string, err error) {
	id = newUUID()
	_, err = elicit(ctx, message, struct {
		Mode string `json:"mode"`
		ElicitURLRequest
	}{elicitURL, ElicitURLRequest{Message: message, URL: url, ID: id}})
	if err != nil {
		return "", err
	}
	return id, nil
}

// newUUID is a random UUID, in the form that other servers give their ids.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ElicitComplete reports to whoever called that what its user was sent to a page for is done; id is
// that of [ElicitURL]. It does nothing where nobody listens.
func ElicitComplete(ctx context.Context, id string) {
	if f := frameOf(ctx); f != nil && f.back != nil {
		f.back.Notify(ctx, Notice{ElicitComplete: id})
	}
}

// elicit asks, and makes an error of a no.
func elicit(ctx context.Context, message string, params any) (ElicitResult, error) {
	res, err := askBack[ElicitResult](ctx, AskElicit, params)
	switch {
	case err != nil:
		return res, err
	case res.Action == ElicitDecline:
		return res, Errorf(CodePermissionDenied, "the user declined: %s", message)
	case res.Action != ElicitAccept:
		return res, Errorf(CodeCanceled, "the user dismissed the question: %s", message)
	}
	return res, nil
}
