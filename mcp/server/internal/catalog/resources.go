package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/listing"
	"github.com/openmas/openmas/mcp/internal/uri"
)

// A resourceCatalog is which URI leads to which agent.
type resourceCatalog struct {
	agents    map[string]bool      // that have resources
	resources map[string]*resource // by exported URI or template
	spelled   map[string]*resource // by the canonical form of a URI; nil: it is that of several
	templates []*resource          // in the order in which they are tried
	keys      map[Target]string    // the exported URIs and templates by the agents' own
	renamed   map[string]bool      // the agents for which they differ
}

// A resource is one that an agent lists, or a template of them. Its target's name is the agent's
// own URI or template.
type resource struct {
	Target
	exported string
	template *uri.Template // of the exported form
	own      *uri.Template // of the agent's, where that is another
}

// newResources lists the resources of agents, which are in the order of their names. Of two agents
// with the same URI the first keeps it, and that of the other has the agent's name in front. What
// is not offered as its agent has it is noted.
func newResources(agents []agent.Info, notes map[Note]bool) (c resourceCatalog, listed, templated listing.List) {
	c = resourceCatalog{agents: map[string]bool{}, resources: map[string]*resource{},
		spelled: map[string]*resource{}, keys: map[Target]string{}, renamed: map[string]bool{}}
	var fixed, templates listing.List
	for _, a := range agents {
		for _, info := range a.Resources {
			r, kind, err := c.newResource(a.Name, info)
			if err != nil {
				notes[Note{a.Name, kind, info.Key(), "left out: " + err.Error()}] = true
				continue
			}
			if r.exported != r.Name {
				c.renamed[a.Name] = true
				notes[Note{a.Name, kind, r.Name, "offered as " + r.exported + ": agent " +
					c.resources[r.Name].Agent + " has the same URI"}] = true
			}
			c.addResource(r)
			item := listing.Resource(info, r.exported)
			if info.Template != "" {
				templates = append(templates, item)
			} else {
				fixed = append(fixed, item)
			}
		}
	}
	slices.SortStableFunc(c.templates, func(a, b *resource) int {
		return cmp.Compare(b.template.Literals(), a.template.Literals())
	})
	return c, fixed, templates
}

// newResource finds the URI or template under which an agent's resource is offered.
func (c *resourceCatalog) newResource(agentName string, info agent.ResourceInfo) (r *resource, kind string, err error) {
	r, kind = &resource{Target: Target{agentName, info.Key()}, exported: info.Key()}, "resource"
	if info.Template != "" {
		kind = "resource template"
	}
	if c.keys[r.Target] != "" {
		return nil, kind, errors.New("the agent has two of this URI")
	}
	if other := c.resources[r.exported]; other != nil {
		r.exported = uri.AtAgent(r.Name, agentName)
		if c.resources[r.exported] != nil {
			return nil, kind, fmt.Errorf("agent %s has the same URI", other.Agent)
		}
	}
	if info.Template != "" {
		r.template, err = uri.ParseTemplate(r.exported)
		if err == nil && r.exported != r.Name {
			r.own, err = uri.ParseTemplate(r.Name)
		}
	} else {
		err = uri.Check(r.exported)
	}
	return r, kind, err
}

func (c *resourceCatalog) addResource(r *resource) {
	c.agents[r.Agent] = true
	c.resources[r.exported], c.keys[r.Target] = r, r.exported
	if r.template != nil {
		c.templates = append(c.templates, r)
		return
	}
	plain := uri.Canonical(r.exported)
	if _, several := c.spelled[plain]; several {
		c.spelled[plain] = nil
	} else {
		c.spelled[plain] = r
	}
}

// ExportedURI is the URI under which clients read what an agent calls own.
func (c *resourceCatalog) ExportedURI(agentName, own string) string {
	if exported := c.keys[Target{agentName, own}]; exported != "" {
		return exported
	}
	if other := c.resources[own]; other != nil && other.Agent != agentName {
		return uri.AtAgent(own, agentName)
	}
	if c.renamed[agentName] {
		for _, r := range c.templates {
			if r.Agent != agentName || r.own == nil {
				continue
			}
			if _, ok := r.own.Match(own); ok {
				return uri.AtAgent(own, agentName)
			}
		}
	}
	return own
}

// Listed finds the agent that lists a URI, however a client spells it, and what the agent calls it.
func (c *resourceCatalog) Listed(sent string) (Target, bool) {
	r := c.resources[sent]
	if r == nil || r.template != nil {
		r = c.spelled[uri.Canonical(sent)]
	}
	if r == nil {
		return Target{}, false
	}
	return r.Target, true
}

// Templated finds the agent with the template that a URI fits best, and what the agent calls the
// URI; or the agent whose name is in the URI, as [uri.AtAgent] writes it.
func (c *resourceCatalog) Templated(sent string) (Target, bool) {
	for _, r := range c.templates {
		if spelled, ok := r.template.Match(sent); ok {
			if r.exported != r.Name {
				_, spelled, _ = uri.CutAgent(spelled)
			}
			return Target{r.Agent, spelled}, true
		}
	}
	a, own, ok := uri.CutAgent(sent)
	if !ok || !c.agents[a] {
		return Target{}, false
	}
	plain := uri.Canonical(own)
	for t := range c.keys {
		if t.Agent == a && (t.Name == own || uri.Canonical(t.Name) == plain) {
			return t, true
		}
	}
	for _, r := range c.templates {
		if r.Agent != a {
			continue
		}
		if t, err := uri.ParseTemplate(r.Name); err == nil {
			if spelled, ok := t.Match(own); ok {
				return Target{a, spelled}, true
			}
		}
	}
	return Target{}, false
}

// Template finds the agent that completes the variables of a template, or of a resource.
func (c *resourceCatalog) Template(key string) (Target, bool) {
	r, ok := c.resources[key]
	if !ok {
		return Target{}, false
	}
	return r.Target, true
}

// Renames reports whether a resource of an agent has another URI for clients.
func (c *resourceCatalog) Renames(agentName string) bool { return c.renamed[agentName] }
