package codec

import (
	"crypto/rand"
	"encoding/json"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// askMethods are MCP's names of the kinds of questions.
var askMethods = map[string]string{agent.AskSample: "sampling/createMessage", agent.AskElicit: "elicitation/create",
	agent.AskRoots: "roots/list"}

// KindOf is the kind of question that a method asks; empty: it is none.
func KindOf(method string) string {
	for kind, m := range askMethods {
		if m == method {
			return kind
		}
	}
	return ""
}

// inputRequiredType is the type of a result that wants input.
const inputRequiredType = "input_required"

type inputRequired struct {
	ResultType string                     `json:"resultType"`
	Requests   map[string]askedInput      `json:"inputRequests,omitempty"`
	State      string                     `json:"requestState,omitempty"`
	Meta       map[string]json.RawMessage `json:"_meta,omitempty"`
}

type askedInput struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// MethodElicitComplete is the notification that what a user was sent to a page for is done.
const MethodElicitComplete = "notifications/elicitation/complete"

// The ways to ask a user.
const (
	ElicitForm = "form"
	ElicitURL  = "url"
)

// elicitationID is the member that names a page which a user is sent to, in the versions before
// 2026-07-28.
const elicitationID = "elicitationId"

// ElicitationID is the id of a question that sends a user to a page; empty: it has none.
func ElicitationID(r agent.Request) string {
	if r.Kind != agent.AskElicit {
		return ""
	}
	o, err := ReadObject(r.Params)
	if err != nil || ElicitMode(r.Params) != ElicitURL {
		return ""
	}
	return o.text(elicitationID)
}

// WithoutElicitationID are the params of a question without what differs when the same is asked
// again.
func WithoutElicitationID(r agent.Request) json.RawMessage {
	if ElicitationID(r) == "" {
		return r.Params
	}
	return jsonedit.Edit(r.Params, []string{elicitationID}, func(json.RawMessage) json.RawMessage { return nil })
}

// elicitParams are those of an elicitation for a client of a version. Before 2026-07-28 clients
// refuse a page without an id.
func elicitParams(params json.RawMessage, version string) json.RawMessage {
	if version >= Version20260728 || ElicitMode(params) != ElicitURL {
		return params
	}
	o, err := ReadObject(params)
	if err != nil || o.text(elicitationID) != "" {
		return params
	}
	o.Set(elicitationID, jsonedit.String(rand.Text()))
	return o.Raw()
}

// ElicitMode is how an elicitation asks: [ElicitForm], [ElicitURL], or a word of a later version.
// It may leave that to be concluded.
func ElicitMode(params json.RawMessage) string {
	o, err := ReadObject(params)
	if err != nil {
		return ElicitForm
	}
	switch mode := o.text("mode"); {
	case mode != "":
		return mode
	case o.text("url") != "" || o.text(elicitationID) != "":
		return ElicitURL
	}
	return ElicitForm
}
