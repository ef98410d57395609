package codec

import (
	"encoding/json"

	"github.com/openmas/openmas/agent"
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

// ElicitMode is how an elicitation asks: "form", "url", or a word of a later version. It may leave
// that to be concluded.
func ElicitMode(params json.RawMessage) string {
	o, err := ReadObject(params)
	if err != nil {
		return "form"
	}
	switch mode := o.text("mode"); {
	case mode != "":
		return mode
	case o.text("url") != "" || o.text("elicitationId") != "":
		return "url"
	}
	return "form"
}
