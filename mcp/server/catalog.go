package server

import (
	"cmp"
	"log/slog"
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

// naming gives the exported name of an agent's tool or prompt.
type naming func(agentName, name string) string

// bareName is the naming of an endpoint with one agent.
func bareName(_, name string) string { return name }

// newCatalog lists what the agents offer. Of two with the same exported name or URI, that of the
// first agent by name is offered, and the log told.
func newCatalog(agents []agent.Info, name naming, log *slog.Logger) *catalog {
	c := &catalog{tools: map[string]tool{}, prompts: map[string]prompt{}, resources: map[string]resource{},
		own: map[target]bool{}}
	agents = slices.SortedFunc(slices.Values(agents), func(a, b agent.Info) int { return cmp.Compare(a.Name, b.Name) })
	clash := func(kind, exported, kept, left string) {
		log.Warn("two agents offer the same "+kind+": the first is offered", "name", exported, "offered", kept,
			"left_out", left)
	}
	for _, a := range agents {
		for _, t := range a.Tools {
			exported, to := name(a.Name, t.Name), target{a.Name, t.Name}
			if other, dup := c.tools[exported]; dup {
				clash("tool", exported, other.agent, a.Name)
				continue
			}
			c.tools[exported] = tool{to, t, codec.WantsHeaders(t.InputSchema)}
			c.own[to] = true
		}
		for _, p := range a.Prompts {
			exported, to := name(a.Name, p.Name), target{a.Name, p.Name}
			if other, dup := c.prompts[exported]; dup {
				clash("prompt", exported, other.agent, a.Name)
				continue
			}
			c.prompts[exported] = prompt{to, p}
			c.own[to] = true
		}
		for _, r := range a.Resources {
			if other, dup := c.resources[r.Key()]; dup {
				clash("resource", r.Key(), other.agent, a.Name)
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
