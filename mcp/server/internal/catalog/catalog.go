// Package catalog is what an MCP endpoint offers of its agents: the names and URIs under which
// clients know their tools, prompts and resources, and the lists of them.
package catalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"iter"
	"maps"
	"reflect"
	"slices"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/listing"
	"github.com/openmas/openmas/mcp/internal/schema"
)

// A Catalog is what one endpoint offers: which exported name or URI leads to which agent, and how
// it is listed. It does not change; a new one replaces it.
type Catalog struct {
	tools   map[string]*tool
	prompts map[string]*prompt
	own     map[Target]bool // tools and prompts by their own names
	resourceCatalog
	Lists map[string]listing.List // by the member of the result that has it
	Notes map[Note]bool           // what is not offered as its agent has it
	// Heads are the schemas of the tools of which requests over HTTP say some arguments in headers
	// as well.
	Heads map[string]json.RawMessage
}

type tool struct {
	Target
	info  agent.ToolInfo
	item  *listing.Item
	what  string // is wrong with its description
	heads bool   // see Catalog.Heads
}

type prompt struct {
	Target
	item *listing.Item
}

// Naming gives the exported names of an agent's tools or prompts.
type Naming func(agentName string, names []string) []Name

// BareNames is the naming of an endpoint with one agent.
func BareNames(_ string, names []string) []Name {
	out := make([]Name, len(names))
	for i, n := range names {
		out[i].Exported = n
	}
	return out
}

// New lists what the agents offer. What was listed in old in the same way is not made anew.
func New(agents []agent.Info, name Naming, old *Catalog, check *schema.Checker) *Catalog {
	c := &Catalog{tools: map[string]*tool{}, prompts: map[string]*prompt{}, own: map[Target]bool{},
		Lists: map[string]listing.List{}, Notes: map[Note]bool{}, Heads: map[string]json.RawMessage{}}
	agents = slices.SortedFunc(slices.Values(agents), func(a, b agent.Info) int { return cmp.Compare(a.Name, b.Name) })
	c.resourceCatalog, c.Lists[Resources], c.Lists[Templates] = newResources(agents, c.Notes)
	var tools, prompts listing.List
	for _, a := range agents {
		for i, exported := range names(c, name, a.Name, "tool", a.Tools, func(t agent.ToolInfo) string {
			return t.Name
		}) {
			t := c.newTool(a, a.Tools[i], exported, old, check)
			c.tools[exported], c.own[t.Target] = t, true
			if t.heads {
				c.Heads[exported] = t.item.InputSchema
			}
			tools = append(tools, t.item)
		}
		for i, exported := range names(c, name, a.Name, "prompt", a.Prompts, func(p agent.PromptInfo) string {
			return p.Name
		}) {
			p := &prompt{Target{a.Name, a.Prompts[i].Name}, listing.Prompt(a.Prompts[i], exported)}
			c.prompts[exported], c.own[p.Target] = p, true
			prompts = append(prompts, p.item)
		}
	}
	c.Lists[Tools], c.Lists[Prompts] = tools, prompts
	return c
}

// The members of the results that have the lists.
const (
	Tools     = "tools"
	Prompts   = "prompts"
	Resources = "resources"
	Templates = "resourceTemplates"
)

// names finds the exported names of an agent's tools or prompts, by their places in the list.
func names[T any](c *Catalog, by Naming, agentName, kind string, list []T, name func(T) string) iter.Seq2[int, string] {
	own := make([]string, len(list))
	for i, v := range list {
		own[i] = name(v)
	}
	return func(yield func(int, string) bool) {
		seen := map[string]bool{}
		for i, n := range by(agentName, own) {
			if seen[own[i]] {
				c.Notes[Note{agentName, kind, own[i], "left out: the agent has two of this name"}] = true
				continue
			}
			seen[own[i]] = true
			if n.Why != "" {
				c.Notes[Note{agentName, kind, own[i], "offered as " + n.Exported + ": " + n.Why}] = true
			}
			if !yield(i, n.Exported) {
				return
			}
		}
	}
}

// newTool describes a tool, or takes the description over from old.
func (c *Catalog) newTool(a agent.Info, t agent.ToolInfo, exported string, old *Catalog, check *schema.Checker) *tool {
	to := Target{a.Name, t.Name}
	// what it links to may have another URI now
	linked := bytes.Contains(t.Raw, []byte(`"_meta"`))
	made := old.tools[exported]
	if made == nil || linked || made.Target != to || !reflect.DeepEqual(made.info, t) {
		made = &tool{Target: to, info: t}
		made.item, made.what = listing.Tool(t, exported, func(uri string) string {
			return c.ExportedURI(a.Name, uri)
		}, check)
		made.heads = codec.WantsHeaders(made.item.InputSchema)
	}
	if made.what != "" {
		c.Notes[Note{a.Name, "tool", t.Name, made.what}] = true
	}
	return made
}

// Tool finds a tool by its exported name, or as agent.tool.
func (c *Catalog) Tool(name string) (Target, bool) {
	if t, ok := c.tools[name]; ok {
		return t.Target, true
	}
	return c.dotted(name)
}

// Names are those of the prompts for op OpPrompt, else of the tools, in no order.
func (c *Catalog) Names(op agent.Op) []string {
	if op == agent.OpPrompt {
		return slices.Collect(maps.Keys(c.prompts))
	}
	return slices.Collect(maps.Keys(c.tools))
}

// Repeatable reports whether a tool that is listed says that it may be called again.
func (c *Catalog) Repeatable(to Target) bool {
	for _, t := range c.tools {
		if t.Target == to {
			return t.info.Repeatable()
		}
	}
	return false
}

// Prompt finds a prompt by its exported name, or as agent.prompt.
func (c *Catalog) Prompt(name string) (Target, bool) {
	if p, ok := c.prompts[name]; ok {
		return p.Target, true
	}
	return c.dotted(name)
}

func (c *Catalog) dotted(name string) (Target, bool) {
	a, n, ok := agent.SplitName(name)
	t := Target{a, n}
	return t, ok && c.own[t]
}
