package codec

import (
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// ToTool describes a tool under the name that clients see.
func ToTool(t agent.ToolInfo, name string) *sdk.Tool {
	out := &sdk.Tool{Name: name, Title: t.Title, Description: t.Description,
		InputSchema: objectSchema(t.InputSchema)}
	if schemaType(t.OutputSchema) == "object" {
		out.OutputSchema = t.OutputSchema // the versions with a handshake know objects only
	}
	if a := t.Annotations; a != nil {
		out.Annotations = &sdk.ToolAnnotations{ReadOnlyHint: a.ReadOnly, IdempotentHint: a.Idempotent,
			DestructiveHint: a.Destructive, OpenWorldHint: a.OpenWorld}
	}
	return out
}

// ToPrompt is a prompt as MCP lists it, under a name.
func ToPrompt(p agent.PromptInfo, name string) *sdk.Prompt {
	out := &sdk.Prompt{Name: name, Title: p.Title, Description: p.Description}
	for _, a := range p.Arguments {
		out.Arguments = append(out.Arguments,
			&sdk.PromptArgument{Name: a.Name, Title: a.Title, Description: a.Description, Required: a.Required})
	}
	return out
}

// ToResource is a resource as MCP lists it.
func ToResource(r agent.ResourceInfo) *sdk.Resource {
	return &sdk.Resource{URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType}
}

// ToTemplate is a resource template as MCP lists it.
func ToTemplate(r agent.ResourceInfo) *sdk.ResourceTemplate {
	return &sdk.ResourceTemplate{URITemplate: r.Template, Name: r.Name, Title: r.Title, Description: r.Description,
		MIMEType: r.MIMEType}
}

// objectSchema is raw with the type that MCP demands of an input schema; servers in the wild leave
// it out.
func objectSchema(raw json.RawMessage) json.RawMessage {
	if schemaType(raw) == "object" {
		return raw
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		m = map[string]json.RawMessage{}
	}
	m["type"] = json.RawMessage(`"object"`)
	out, err := json.Marshal(m)
	if err != nil {
		return json.RawMessage(`{"type":"object"}`)
	}
	return out
}

func schemaType(raw json.RawMessage) string {
	var s struct {
		Type any `json:"type"`
	}
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	t, _ := s.Type.(string)
	return t
}

// experimental is the key of what an agent of ours says about itself beyond MCP, in the
// capabilities of its own endpoint.
const experimental = "openmas"

type beyondMCP struct {
	Subscriptions []agent.SubscriptionInfo `json:"subscriptions,omitempty"`
	Keeper        string                   `json:"keeper,omitempty"`
}

// ToExperimental describes what MCP has no word for: the topics that an agent listens to, and that
// it keeps the results of calls with a key.
func ToExperimental(info agent.Info) map[string]any {
	return map[string]any{experimental: beyondMCP{info.Subscriptions, info.Keeper}}
}

// FromExperimental adds to info what a server says beyond MCP, as far as it is trusted.
func FromExperimental(caps *sdk.ServerCapabilities, info *agent.Info, trusted bool) {
	var b beyondMCP
	if caps == nil || reencode(caps.Experimental[experimental], &b) != nil {
		return
	}
	if info.Subscriptions = b.Subscriptions; trusted {
		info.Keeper = b.Keeper
	}
}
