package server

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
	keys      map[target]string    // the exported URIs and templates by the agents' own
	renamed   map[string]bool      // the agents for which they differ
}

// A resource is one that an agent lists, or a template of them. Its target's name is the agent's
// own URI or template.
type resource struct {
	target
	exported string
	template *uri.Template
}

// addResources lists the resources of agents, which are in the order of their names. Of two agents
// with the same URI the first keeps it, and that of the other has the agent's name in front.
func (c *catalog) addResources(agents []agent.Info) {
	c.resourceCatalog = resourceCatalog{agents: map[string]bool{}, resources: map[string]*resource{},
		spelled: map[string]*resource{}, keys: map[target]string{}, renamed: map[string]bool{}}
	var fixed, templates []*listing.Item
	for _, a := range agents {
		for _, info := range a.Resources {
			r, kind, err := c.newResource(a.Name, info)
			if err != nil {
				c.notes[note{a.Name, kind, info.Key(), "left out: " + err.Error()}] = true
				continue
			}
			if r.exported != r.name {
				c.renamed[a.Name] = true
				c.notes[note{a.Name, kind, r.name, "offered as " + r.exported + ": agent " +
					c.resources[r.name].agent + " has the same URI"}] = true
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
	c.lists[listResources], c.lists[listTemplates] = listing.NewList(fixed), listing.NewList(templates)
}

// newResource finds the URI or template under which an agent's resource is offered.
func (c *resourceCatalog) newResource(agentName string, info agent.ResourceInfo) (r *resource, kind string, err error) {
	r, kind = &resource{target: target{agentName, info.Key()}, exported: info.Key()}, "resource"
	if info.Template != "" {
		kind = "resource template"
	}
	if c.keys[r.target] != "" {
		return nil, kind, errors.New("the agent has two of this URI")
	}
	if other := c.resources[r.exported]; other != nil {
		r.exported = uri.AtAgent(r.name, agentName)
		if c.resources[r.exported] != nil {
			return nil, kind, fmt.Errorf("agent %s has the same URI", other.agent)
		}
	}
	if info.Template != "" {
		r.template, err = uri.ParseTemplate(r.exported)
	} else {
		err = uri.Check(r.exported)
	}
	return r, kind, err
}

func (c *resourceCatalog) addResource(r *resource) {
	c.agents[r.agent] = true
	c.resources[r.exported], c.keys[r.target] = r, r.exported
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

// exportedURI is the URI under which clients read what an agent calls own.
func (c *resourceCatalog) exportedURI(agentName, own string) string {
	if exported := c.keys[target{agentName, own}]; exported != "" {
		return exported
	}
	if other := c.resources[own]; other != nil && other.agent != agentName {
		return uri.AtAgent(own, agentName)
	}
	return own
}

// listed finds the agent that lists a URI, however a client spells it, and what the agent calls it.
func (c *resourceCatalog) listed(sent string) (target, bool) {
	r := c.resources[sent]
	if r == nil || r.template != nil {
		r = c.spelled[uri.Canonical(sent)]
	}
	if r == nil {
		return target{}, false
	}
	return r.target, true
}

// templated finds the agent with the template that a URI fits best, and what the agent calls the
// URI; or the agent whose name is in the URI, as [uri.AtAgent] writes it.
func (c *resourceCatalog) templated(sent string) (target, bool) {
	for _, r := range c.templates {
		if spelled, ok := r.template.Match(sent); ok {
			if r.exported != r.name {
				_, spelled, _ = uri.CutAgent(spelled)
			}
			return target{r.agent, spelled}, true
		}
	}
	a, own, ok := uri.CutAgent(sent)
	if !ok || !c.agents[a] {
		return target{}, false
	}
	plain := uri.Canonical(own)
	for t := range c.keys {
		if t.agent == a && (t.name == own || uri.Canonical(t.name) == plain) {
			return t, true
		}
	}
	for _, r := range c.templates {
		if r.agent != a {
			continue
		}
		if t, err := uri.ParseTemplate(r.name); err == nil {
			if spelled, ok := t.Match(own); ok {
				return target{a, spelled}, true
			}
		}
	}
	return target{}, false
}

// resource finds the agent that serves a URI: one that lists it, or that has given it to the
// client, or that has a template for it.
func (e *endpoint) resource(c *session, sent string) (target, bool) {
	cat := e.catalog.Load()
	if to, ok := cat.listed(sent); ok {
		return to, true
	}
	if e.agent != "" {
		return target{e.agent, sent}, true // the agent knows its templates best
	}
	return e.unlisted(c, sent)
}

// unlisted finds a resource that no list has: the session's tools have returned it, or a template
// matches.
func (e *endpoint) unlisted(c *session, sent string) (target, bool) {
	if to, ok := e.given(c).find(uri.Canonical(sent)); ok &&
		(to.agent == e.agent || e.readable != nil && e.readable(to.agent)) {
		return to, true
	}
	return e.catalog.Load().templated(sent)
}

// template finds the agent that completes the variables of a template, or of a resource.
func (c *resourceCatalog) template(key string) (target, bool) {
	r, ok := c.resources[key]
	if !ok {
		return target{}, false
	}
	return r.target, true
}
