package server

import (
	"bytes"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/mcp/internal/uri"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
)

// resolve finds what a name stands for.
func (e *endpoint) resolve(c *session, op agent.Op, name string) (catalog.Target, error) {
	cat := e.catalog.Load()
	var to catalog.Target
	var ok bool
	kind := "tool"
	switch op {
	case agent.OpTool:
		to, ok = cat.Tool(name)
	case agent.OpPrompt:
		kind = "prompt"
		to, ok = cat.Prompt(name)
	case agent.OpResource:
		kind = "resource"
		to, ok = e.resource(c, name)
	case agent.OpComplete:
		kind = "prompt or resource template"
		if to, ok = cat.Prompt(name); !ok {
			to, ok = cat.Template(name)
		}
	}
	if !ok && e.open && op != agent.OpResource {
		to.Agent, to.Name, ok = agent.SplitName(name)
	}
	if !ok {
		return to, e.unknown(op, kind, name)
	}
	return to, nil
}

// unknown says why a name stands for nothing: there is no such thing, or its agent is not there
// yet.
func (e *endpoint) unknown(op agent.Op, kind, name string) error {
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
	u := &unknownError{kind: kind, name: name}
	if op == agent.OpTool || op == agent.OpPrompt {
		u.meant = nearest.Meant(name, e.catalog.Load().Names(op))
	}
	return u
}

// resource finds the agent that serves a URI: one that lists it, or that has given it to the
// client, or that has a template for it.
func (e *endpoint) resource(c *session, sent string) (catalog.Target, bool) {
	cat := e.catalog.Load()
	if to, ok := cat.Listed(sent); ok {
		return to, true
	}
	if e.agent != "" { // the agent knows its templates best
		return catalog.Target{Agent: e.agent, Name: sent}, e.readable == nil || e.readable(e.agent)
	}
	return e.unlisted(c, sent)
}

// unlisted finds a resource that no list has: the session's tools have returned it, or a template
// matches. No link leads away from another agent's template, but one that names its own agent.
func (e *endpoint) unlisted(c *session, sent string) (catalog.Target, bool) {
	templated, matches := e.catalog.Load().Templated(sent)
	to, ok := e.given(c).Find(uri.Canonical(sent))
	if !ok || to.Agent != e.agent && (e.readable == nil || !e.readable(to.Agent)) {
		return templated, matches
	}
	if at, _, _ := uri.CutAgent(sent); matches && templated.Agent != to.Agent && at != to.Agent {
		return templated, true
	}
	return to, true
}

// exported is how clients read what an agent calls own. Where own leads to another agent, by a
// list, a template or a link that the client was given before, it has the agent's name in front.
func (e *endpoint) exported(cat *catalog.Catalog, given *catalog.Links, agentName, own string) string {
	if exported := cat.ExportedURI(agentName, own); exported != own {
		return exported
	}
	to, ok := cat.Listed(own)
	if !ok {
		to, ok = cat.Templated(own)
	}
	if !ok {
		to, ok = given.Find(uri.Canonical(own))
	}
	if ok && to.Agent != agentName {
		return uri.AtAgent(own, agentName)
	}
	return own
}

// given are the links that calls of the session have returned. In the version of the protocol
// without sessions they are those of calls of the same user.
func (e *endpoint) given(c *session) *catalog.Links {
	if c.fast.stateless.Load() {
		return e.linksOf.Of(c.identity.name())
	}
	return &c.links
}

// export gives the URIs of a result the form under which clients read them here, and remembers
// those that no agent lists: a tool may return links to what it has just made.
func (e *endpoint) export(c *session, call *agent.Call, res *agent.Result) *agent.Result {
	if e.agent != "" || c.identity.Trusted || call.Op == agent.OpComplete {
		return res
	}
	cat, given := e.catalog.Load(), e.given(c)
	rename := func(own string) string { return e.exported(cat, given, call.Agent, own) }
	renamed := cat.Renames(call.Agent)
	see := func(block *agent.Content) {
		own := &block.URI
		if block.Resource != nil {
			own = &block.Resource.URI
		}
		if *own == "" {
			return
		}
		exported := rename(*own)
		renamed = renamed || exported != *own
		if to, ok := cat.Listed(exported); !ok || to.Agent != call.Agent {
			given.Add(uri.Canonical(exported), catalog.Target{Agent: call.Agent, Name: *own})
		}
	}
	for i := range res.Content {
		see(&res.Content[i])
	}
	prompt := &agent.PromptResult{}
	if call.Op == agent.OpPrompt && bytes.Contains(res.Structured, []byte(`"uri"`)) {
		if p, err := res.Prompt(); err == nil {
			prompt = p
		}
	}
	for i := range prompt.Messages {
		see(&prompt.Messages[i].Content)
	}
	if !renamed {
		return res
	}
	return catalog.RenameURIs(call.Op, res, prompt, rename)
}
