package main

import (
	"context"
	"encoding/json"

	"github.com/openmas/openmas/agent"
)

// maxApproved bounds what a person can be asked about: bytes of arguments.
const maxApproved = 4 << 10

// Approval is the form that a person fills in.
type Approval struct {
	Approve bool `json:"approve" jsonschema:"whether the tool may be called"`
}

// approve asks the user of whoever asked the assistant. Where nobody can be asked, it is an error
// as well.
func approve(ctx context.Context, target string, args json.RawMessage) (err error) {
	ctx, end := approval(ctx, target)
	defer func() { end(err) }()
	if len(args) > maxApproved {
		return agent.Errorf(agent.CodePermissionDenied, "%d bytes of arguments are too many to approve of", len(args))
	}
	form, err := agent.Elicit[Approval](ctx, "May the assistant call "+target+" "+visible(args)+"?")
	if err == nil && !form.Approve {
		err = agent.Errorf(agent.CodePermissionDenied, "the user declined this call")
	}
	return err
}
