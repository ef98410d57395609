package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/listing"
	"github.com/openmas/openmas/mcp/internal/schema"
)

// target is what an exported name stands for.
type target struct{ agent, name string }

// A catalog is what one endpoint offers: which exported name or URI leads to which agent, and how
// it is listed. It does not change; a new one replaces it.
type catalog struct {
	tools   map[string]*tool
	prompts map[string]*prompt
	own     map[target]bool // tools and prompts by their own names
	resourceCatalog
	lists map[string]listing.List // by the member of the result that has it
	notes map[note]bool           // what is not offered as its agent has it
}

// A note says what happened to one thing of an agent.
type note struct{ agent, kind, name, what string }

type tool struct {
	target
	info agent.ToolInfo
	item *listing.Item
	what string // is wrong with its description
	// heads is its schema if requests over HTTP say some of its arguments in headers as well.
	heads json.RawMessage
}

type prompt struct {
	target
	item *listing.Item
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

// newCatalog lists what the agents offer. What was listed in old in the same way is not made anew.
func newCatalog(agents []agent.Info, name naming, old *catalog, check *schema.Checker) *catalog {
	c := &catalog{tools: map[string]*tool{}, prompts: map[string]*prompt{}, own: map[target]bool{},
		lists: map[string]listing.List{}, notes: map[note]bool{}}
	agents = slices.SortedFunc(slices.Values(agents), func(a, b agent.Info) int { return cmp.Compare(a.Name, b.Name) })
	c.addResources(agents)
	var tools, prompts []*listing.Item
	for _, a := range agents {
		for i, exported := range names(c, name, a.Name, "tool", a.Tools, func(t agent.ToolInfo) string {
			return t.Name
		}) {
			t := c.newTool(a, a.Tools[i], exported, old, check)
			c.tools[exported], c.own[t.target] = t, true
			tools = append(tools, t.item)
		}
		for i, exported := range names(c, name, a.Name, "prompt", a.Prompts, func(p agent.PromptInfo) string {
			return p.Name
		}) {
			p := &prompt{target{a.Name, a.Prompts[i].Name}, listing.Prompt(a.Prompts[i], exported)}
			c.prompts[exported], c.own[p.target] = p, true
			prompts = append(prompts, p.item)
		}
	}
	c.lists[listTools], c.lists[listPrompts] = listing.NewList(tools), listing.NewList(prompts)
	return c
}

// The members of the results that have the lists.
const (
	listTools     = "tools"
	listPrompts   = "prompts"
	listResources = "resources"
	listTemplates = "resourceTemplates"
)

// names finds the exported names of an agent's tools or prompts, by their places in the list.
func names[T any](c *catalog, by naming, agentName, kind string, list []T, name func(T) string) iter.Seq2[int, string] {
	own := make([]string, len(list))
	for i, v := range list {
		own[i] = name(v)
	}
	return func(yield func(int, string) bool) {
		seen := map[string]bool{}
		for i, n := range by(agentName, own) {
			if seen[own[i]] {
				c.notes[note{agentName, kind, own[i], "left out: the agent has two of this name"}] = true
				continue
			}
			seen[own[i]] = true
			if n.why != "" {
				c.notes[note{agentName, kind, own[i], "offered as " + n.exported + ": " + n.why}] = true
			}
			if !yield(i, n.exported) {
				return
			}
		}
	}
}

// newTool describes a tool, or takes the description over from old.
func (c *catalog) newTool(a agent.Info, t agent.ToolInfo, exported string, old *catalog, check *schema.Checker) *tool {
	to := target{a.Name, t.Name}
	// what it links to may have another URI now
	linked := bytes.Contains(t.Raw, []byte(`"_meta"`))
	made := old.tools[exported]
	if made == nil || linked || made.target != to || !reflect.DeepEqual(made.info, t) {
		made = &tool{target: to, info: t}
		made.item, made.what = listing.Tool(t, exported, func(uri string) string {
			return c.exportedURI(a.Name, uri)
		}, check)
		if in := made.item.InputSchema; codec.WantsHeaders(in) {
			made.heads = in
		}
	}
	if made.what != "" {
		c.notes[note{a.Name, "tool", t.Name, made.what}] = true
	}
	return made
}

// tool finds a tool by its exported name, or as agent.tool.
func (c *catalog) tool(name string) (target, bool) {
	if t, ok := c.tools[name]; ok {
		return t.target, true
	}
	return c.dotted(name)
}

// wantsHeaders reports whether requests over HTTP say some arguments of a tool in headers.
func (c *catalog) wantsHeaders(name string) bool {
	t := c.tools[name]
	return t != nil && t.heads != nil
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

// resolve finds what a name stands for.
func (e *endpoint) resolve(c *session, op agent.Op, name string) (target, error) {
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
		kind = "resource"
		to, ok = e.resource(c, name)
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
		return to, e.unknown(kind, name)
	}
	return to, nil
}

// unknown says why a name stands for nothing: there is no such thing, or its agent is not there
// yet.
func (e *endpoint) unknown(kind, name string) error {
	a, n := e.agent, name
	if a == "" {
		if at := strings.IndexAny(name, "._"); at > 0 { // agents have neither
			a, n = name[:at], name[at+1:]
		}
	}
	if e.down != nil && a != "" {
		if why := e.down(a, n); why != nil {
			return agent.Refusedf(agent.CodeUnavailable, "%s: %w", name, why)
		}
	}
	return &unknownError{kind, name}
}
