package agent

import (
	"encoding/json"
)

// Info describes an agent: what it offers, without the functions behind. It is plain data and
// crosses wires as JSON.
type Info struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version,omitempty"`
	// Keeper names the generation of the agent that keeps the results of calls with a [Call.Key]:
	// it changes when they are lost, as with a restart. Empty: they are not kept.
	Keeper        string             `json:"keeper,omitempty"`
	Tools         []ToolInfo         `json:"tools,omitempty"`
	Prompts       []PromptInfo       `json:"prompts,omitempty"`
	Resources     []ResourceInfo     `json:"resources,omitempty"`
	Subscriptions []SubscriptionInfo `json:"subscriptions,omitempty"`
	// LeftOut is what a foreign server lists and nobody can use.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
}

// LeftOut is an item of a foreign server's lists that is not offered, or a list that is not known.
type LeftOut struct {
	// Kind is "tool", "prompt", "resource" or "template"; "list" for a whole list, or the rest of
	// it.
	Kind string `json:"kind"`
	// Name is the item's name, URI or template, or its place in the list, such as "#3", where it
	// has none. That of a list is its method.
	Name string `json:"name"`
	// Reason says why, for people.
	Reason string `json:"reason"`
}

// Tool finds a tool by name.
func (i Info) Tool(name string) (ToolInfo, bool) {
	for _, t := range i.Tools {
		if t.Name == name {
			return t, true
		}
	}
	return ToolInfo{}, false
}

// ToolInfo describes a tool; its JSON is that of MCP.
type ToolInfo struct {
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// InputSchema and OutputSchema are JSON schemas (draft 2020-12). The input's is of type object;
	// the output's may be empty.
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
	Annotations  *Annotations    `json:"annotations,omitempty"`
	// Raw is the description as a foreign server sent it, empty for what is declared here. It is
	// written with the JSON of the description: of its members, those that the other fields say
	// otherwise are replaced, and all that they do not know stays.
	Raw json.RawMessage `json:"-"`
}

type bareToolInfo ToolInfo

// MarshalJSON writes MCP's form, over Raw where there is one.
func (t ToolInfo) MarshalJSON() ([]byte, error) { return encodeOver(t.Raw, bareToolInfo(t)) }

// UnmarshalJSON reads MCP's form. What no field holds, or in another order, is kept as Raw.
func (t *ToolInfo) UnmarshalJSON(b []byte) error {
	v, raw, err := decodeKept[bareToolInfo](b)
	*t = ToolInfo(v)
	t.Raw = raw
	return err
}

// Annotations are what a tool declares about its effects. A caller may rely on them only where it
// trusts the callee.
type Annotations struct {
	// ReadOnly: the tool changes nothing. A read-only tool is safe to repeat.
	ReadOnly bool `json:"readOnlyHint,omitempty"`
	// Idempotent: calling again with equal arguments has no further effect. An idempotent tool is
	// safe to repeat.
	Idempotent bool `json:"idempotentHint,omitempty"`
	// Destructive: the tool may destroy, not only add. nil is unknown, which MCP takes for true
	// unless ReadOnly.
	Destructive *bool `json:"destructiveHint,omitempty"`
	// OpenWorld: the tool deals with things outside the system. nil is unknown, which MCP takes for
	// true.
	OpenWorld *bool `json:"openWorldHint,omitempty"`
}

// Repeatable reports whether the tool declares that calling it again with equal arguments does no
// harm.
func (t ToolInfo) Repeatable() bool {
	return t.Annotations != nil && (t.Annotations.ReadOnly || t.Annotations.Idempotent)
}

// PromptInfo describes a prompt; its JSON is that of MCP.
type PromptInfo struct {
	Name        string           `json:"name"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Arguments   []PromptArgument `json:"arguments,omitempty"`
	// Raw is the description as a foreign server sent it, empty for what is declared here. It is
	// written with the JSON of the description: of its members, those that the other fields say
	// otherwise are replaced, and all that they do not know stays.
	Raw json.RawMessage `json:"-"`
}

type barePromptInfo PromptInfo

// MarshalJSON writes MCP's form, over Raw where there is one.
func (p PromptInfo) MarshalJSON() ([]byte, error) { return encodeOver(p.Raw, barePromptInfo(p)) }

// UnmarshalJSON reads MCP's form. What no field holds, or in another order, is kept as Raw.
func (p *PromptInfo) UnmarshalJSON(b []byte) error {
	v, raw, err := decodeKept[barePromptInfo](b)
	*p = PromptInfo(v)
	p.Raw = raw
	return err
}

// PromptArgument describes one argument, always a string.
type PromptArgument struct {
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
}

// ResourceInfo describes a resource (URI set) or a template of resources (Template set, with RFC
// 6570 variables {name} and {+path}).
type ResourceInfo struct {
	URI         string `json:"uri,omitempty"`
	Template    string `json:"uriTemplate,omitempty"`
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	MIMEType    string `json:"mimeType,omitempty"`
	// Raw is the description as a foreign server sent it, empty for what is declared here. It is
	// written with the JSON of the description: of its members, those that the other fields say
	// otherwise are replaced, and all that they do not know stays.
	Raw json.RawMessage `json:"-"`
}

type bareResourceInfo ResourceInfo

// MarshalJSON writes MCP's form, over Raw where there is one.
func (i ResourceInfo) MarshalJSON() ([]byte, error) { return encodeOver(i.Raw, bareResourceInfo(i)) }

// UnmarshalJSON reads MCP's form. What no field holds, or in another order, is kept as Raw.
func (i *ResourceInfo) UnmarshalJSON(b []byte) error {
	v, raw, err := decodeKept[bareResourceInfo](b)
	*i = ResourceInfo(v)
	i.Raw = raw
	return err
}

// Key is what names the resource: its URI or template.
func (i ResourceInfo) Key() string {
	if i.Template != "" {
		return i.Template
	}
	return i.URI
}

// SubscriptionInfo describes what an agent listens to.
type SubscriptionInfo struct {
	Topic string `json:"topic"`
	// Fields are the members of the payload that the handler reads; empty: any, or nobody can tell.
	Fields []string `json:"fields,omitempty"`
}
