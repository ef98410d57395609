package server

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/uri"
)

// given are the links that calls of the session have returned. In the version of the protocol
// without sessions they are those of calls of the same identity.
func (e *endpoint) given(c *session) *links {
	if c.fast.stateless.Load() {
		return e.identityLinks(c.identity.name())
	}
	return &c.links
}

// identityLinks are those of clients without a session.
func (e *endpoint) identityLinks(identity string) *links {
	e.linksMu.Lock()
	defer e.linksMu.Unlock()
	if l := e.linksOf[identity]; l != nil {
		return l
	}
	if e.linksOf == nil || len(e.linksOf) >= maxLinks {
		e.linksOf = map[string]*links{} // they are forgotten, and given again
	}
	l := &links{}
	e.linksOf[identity] = l
	return l
}

// export gives the URIs of a result the form under which clients read them here, and remembers
// those that no agent lists: a tool may return links to what it has just made.
func (e *endpoint) export(c *session, call *agent.Call, res *agent.Result) *agent.Result {
	if e.agent != "" || c.identity.Trusted || call.Op == agent.OpComplete {
		return res
	}
	cat := e.catalog.Load()
	rename := func(own string) string { return cat.exportedURI(call.Agent, own) }
	renamed := cat.renamed[call.Agent]
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
		if to, ok := cat.listed(exported); !ok || to.agent != call.Agent {
			e.given(c).add(uri.Canonical(exported), target{call.Agent, *own})
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
	return renameURIs(call.Op, res, prompt, rename)
}

// renameURIs is a copy of a result with other URIs.
func renameURIs(op agent.Op, res *agent.Result, prompt *agent.PromptResult, rename func(string) string) *agent.Result {
	out := *res
	block := func(c *agent.Content) {
		c.URI, c.Raw = rename(c.URI), nil
		if c.Resource != nil {
			inner := *c.Resource
			inner.URI = rename(inner.URI)
			c.Resource = &inner
		}
	}
	out.Content = slices.Clone(res.Content)
	for i := range out.Content {
		block(&out.Content[i])
	}
	if len(prompt.Messages) > 0 {
		for i := range prompt.Messages {
			block(&prompt.Messages[i].Content)
		}
		if structured, err := json.Marshal(prompt); err == nil {
			out.Structured = structured
		}
	}
	if len(res.Raw) > 0 {
		out.Raw = codec.MapURIs(res.Raw, op, rename)
	}
	return &out
}

// maxLinks is how many links a session may be given before the oldest is forgotten.
const maxLinks = 1000

// links are URIs and what they stand for. It is safe for concurrent use.
type links struct {
	mu    sync.Mutex
	to    map[string]target
	order []string
}

func (l *links) add(link string, to target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to == nil {
		l.to = map[string]target{}
	}
	if _, known := l.to[link]; !known {
		if len(l.order) >= maxLinks {
			delete(l.to, l.order[0])
			l.order = l.order[1:]
		}
		l.order = append(l.order, link)
	}
	l.to[link] = to
}

func (l *links) find(link string) (target, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to, ok := l.to[link]
	return to, ok
}

// of are the links to a resource.
func (l *links) of(to target) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for link, t := range l.to {
		if t == to {
			found = append(found, link)
		}
	}
	return found
}
