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

// MaxLinks is how many links a session may be given before the oldest is forgotten.
const MaxLinks = 1000

// Links are URIs and what they stand for. It is safe for concurrent use.
type Links struct {
	mu    sync.Mutex
	to    map[string]Target
	order []string
}

// Add notes what a link stands for. The oldest is forgotten beyond [MaxLinks].
func (l *Links) Add(link string, to Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to == nil {
		l.to = map[string]Target{}
	}
	if _, known := l.to[link]; !known {
		if len(l.order) >= MaxLinks {
			delete(l.to, l.order[0])
			l.order = l.order[1:]
		}
		l.order = append(l.order, link)
	}
	l.to[link] = to
}

// Find returns what a link stands for.
func (l *Links) Find(link string) (Target, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to, ok := l.to[link]
	return to, ok
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
