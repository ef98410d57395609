package agent

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
