package server

import (
	"cmp"
	"iter"
	"slices"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// target is what an exported name stands for.
type target struct{ agent, name string }

// A catalog is what one endpoint offers: which exported name or URI leads to which agent. It does
// not change; a new one replaces it.
type catalog struct {
	tools     map[string]tool
	prompts   map[string]prompt
	resources map[string]resource // by URI or template
	templates []resource          // in the order in which they are tried
	own       map[target]bool     // tools and prompts by their own names
	notes     map[note]bool       // what is not offered as its agent has it
}

// A note says what happened to one thing of an agent.
type note struct{ agent, kind, name, what string }

// name finds the exported names of an agent's tools or prompts, by their places in the list.
func (c *catalog) name(by naming, agentName, kind string, names []string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		seen := map[string]bool{}
		for i, n := range by(agentName, names) {
			if seen[names[i]] {
				c.notes[note{agentName, kind, names[i], "left out: the agent has two of this name"}] = true
				continue
			}
			seen[names[i]] = true
			if n.why != "" {
				c.notes[note{agentName, kind, names[i], "offered as " + n.exported + ": " + n.why}] = true
			}
			if !yield(i, n.exported) {
				return
			}
		}
	}
}

type tool struct {
	target
	info  agent.ToolInfo
	heads bool // requests over HTTP say some of its arguments in headers as well
}

type prompt struct {
	target
	info agent.PromptInfo
}

type resource struct {
	agent string
	info  agent.ResourceInfo
}

// naming gives the exported names of an agent's tools or prompts.
type naming func(agentName string, names []string) []exportedName

// bareNames is the naming of an endpoint with one agent.
func bareNames(_ string, names []string) []exportedName {
	out := make([]exportedName, len(names))
	for i, n := range names {
		out[i].exported = n
	}
	return out
}

func namesOf[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = name(v)
	}
	return out
}

// newCatalog lists what the agents offer. Of two with the same exported name or URI, that of the
// first agent by name is offered.
func newCatalog(agents []agent.Info, name naming) *catalog {
	c := &catalog{tools: map[string]tool{}, prompts: map[string]prompt{}, resources: map[string]resource{},
		own: map[target]bool{}, notes: map[note]bool{}}
	agents = slices.SortedFunc(slices.Values(agents), func(a, b agent.Info) int { return cmp.Compare(a.Name, b.Name) })
	for _, a := range agents {
		for i, exported := range c.name(name, a.Name, "tool", namesOf(a.Tools, func(t agent.ToolInfo) string {
			return t.Name
		})) {
			t := a.Tools[i]
			to := target{a.Name, t.Name}
			c.tools[exported], c.own[to] = tool{to, t, codec.WantsHeaders(t.InputSchema)}, true
		}
		for i, exported := range c.name(name, a.Name, "prompt", namesOf(a.Prompts, func(p agent.PromptInfo) string {
			return p.Name
		})) {
			p := a.Prompts[i]
			to := target{a.Name, p.Name}
			c.prompts[exported], c.own[to] = prompt{to, p}, true
		}
		for _, r := range a.Resources {
			if other, dup := c.resources[r.Key()]; dup {
				c.notes[note{a.Name, "resource", r.Key(), "left out: agent " + other.agent + " offers the same"}] = true
				continue
			}
			c.resources[r.Key()] = resource{a.Name, r}
			if r.Template != "" {
				c.templates = append(c.templates, resource{a.Name, r})
			}
		}
	}
	return c
}

// tool finds a tool by its exported name, or as agent.tool.
func (c *catalog) tool(name string) (target, bool) {
	if t, ok := c.tools[name]; ok {
		return t.target, true
	}
	return c.dotted(name)
}

// prompt finds a prompt by its exported name, or as agent.prompt.
func (c *catalog) prompt(name string) (target, bool) {
	if p, ok := c.prompts[name]; ok {
		return p.target, true
	}
	return c.dotted(name)
}

func (c *catalog) dotted(name string) (target, bool) {
	a, n, ok := agent.SplitName(name)
	t := target{a, n}
	return t, ok && c.own[t]
}

// resource finds the agent that serves a URI.
func (c *catalog) resource(uri string) (target, bool) {
	if r, ok := c.resources[uri]; ok && r.info.Template == "" {
		return target{r.agent, uri}, true
	}
	for _, r := range c.templates {
		if r.info.Matches(uri) {
			return target{r.agent, uri}, true
		}
	}
	return target{}, false
}

// template finds the agent that completes the variables of a template, or of a resource.
func (c *catalog) template(key string) (target, bool) {
	r, ok := c.resources[key]
	return target{r.agent, key}, ok
}

// resolve finds what a name stands for.
func (e *endpoint) resolve(op agent.Op, name string) (target, error) {
	cat := e.catalog.Load()
	var to target
	var ok bool
	kind := "tool"
	switch op {
	case agent.OpTool:
		to, ok = cat.tool(name)
	case agent.OpPrompt:
		kind = "prompt"
		to, ok = cat.prompt(name)
	case agent.OpResource:
		if e.agent != "" {
			return target{e.agent, name}, nil // the agent knows its templates best
		}
		kind = "resource"
		to, ok = cat.resource(name)
	case agent.OpComplete:
		kind = "prompt or resource template"
		if to, ok = cat.prompt(name); !ok {
			to, ok = cat.template(name)
		}
	}
	if !ok && e.open && op != agent.OpResource {
		to.agent, to.name, ok = agent.SplitName(name)
	}
	if !ok {
		return to, &unknownError{kind, name}
	}
	return to, nil
}
