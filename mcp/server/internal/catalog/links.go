package catalog

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// RenameURIs is a copy of a result with other URIs.
func RenameURIs(op agent.Op, res *agent.Result, prompt *agent.PromptResult, rename func(string) string) *agent.Result {
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

const (
	maxLinks     = 1000      // that a client is given before the oldest is forgotten
	maxLinkBytes = 256 << 10 // of all of them; a longer one is not remembered
	maxUsers     = 1000      // without a session, before those of the one that came first are forgotten
)

// Links are URIs and what they stand for. It is safe for concurrent use.
type Links struct {
	// Shared: by clients that do not know each other. What one of them is given must not take the
	// place of what another was given.
	Shared bool

	mu    sync.Mutex
	to    map[string]Target // none: two agents have returned it, and Shared is set
	order []string
	size  int
}

// Add notes what a link stands for. The oldest are forgotten beyond a bound.
func (l *Links) Add(link string, to Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, known := l.to[link]
	switch {
	case old == to:
		return
	case known && l.Shared:
		to = Target{}
	case len(link)+len(to.Name) > maxLinkBytes:
		return
	case l.to == nil:
		l.to = map[string]Target{}
	}
	if !known {
		l.order = append(l.order, link)
		l.size += len(link)
	}
	l.size += len(to.Name) - len(old.Name)
	l.to[link] = to
	for len(l.order) > maxLinks || l.size > maxLinkBytes {
		oldest := l.order[0]
		l.size -= len(oldest) + len(l.to[oldest].Name)
		delete(l.to, oldest)
		l.order = l.order[1:]
	}
}

// Find returns what a link stands for.
func (l *Links) Find(link string) (Target, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.to[link]
	return to, to != Target{}
}

// UserLinks are the links of clients without a session, by the name of the user. It is safe for
// concurrent use.
type UserLinks struct {
	mu    sync.Mutex
	of    map[string]*Links
	order []string
}

// Of returns the links of a user.
func (u *UserLinks) Of(name string) *Links {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.of[name]; l != nil {
		return l
	}
	if u.of == nil {
		u.of = map[string]*Links{}
	}
	if len(u.order) >= maxUsers {
		delete(u.of, u.order[0])
		u.order = u.order[1:]
	}
	l := &Links{Shared: name == agent.Anonymous}
	u.of[name], u.order = l, append(u.order, name)
	return l
}

// Of are the links to a resource.
func (l *Links) Of(to Target) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for link, t := range l.to {
		if t == to {
			found = append(found, link)
		}
	}
	return found
}
