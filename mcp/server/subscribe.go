package server

import (
	"context"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// maxSubscriptions is how many resources one session may subscribe to: a template stands for any
// number of them.
const maxSubscriptions = 1000

// subscriptions are a session's.
type subscriptions struct {
	mu   sync.Mutex
	uris map[string]bool
}

func (s *subscriptions) add(uri string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uris) >= maxSubscriptions && !s.uris[uri] {
		return agent.Refusedf(agent.CodeResourceExhausted, "%d resources are subscribed to on this session, the limit",
			maxSubscriptions)
	}
	if s.uris == nil {
		s.uris = map[string]bool{}
	}
	s.uris[uri] = true
	return nil
}

func (s *subscriptions) remove(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uris, uri)
}

// subscribe is asked by the SDK, which keeps who subscribed to what.
func (e *endpoint) subscribe(ctx context.Context, r *sdk.SubscribeRequest) error {
	c, uri := sessionFrom(ctx), r.Params.URI
	if c == nil {
		return codec.ToRPCError(agent.Refusedf(agent.CodeInternal, "%w", errNoSession), uri)
	}
	to, ok := e.catalog.Load().resource(uri)
	if !ok {
		return rpcError(&unknownError{"resource", uri}, uri)
	}
	err := c.subs.add(uri)
	if err == nil && e.watch != nil {
		if err = e.watch(ctx, to.agent, uri); err != nil {
			c.subs.remove(uri)
		}
	}
	if err != nil {
		return codec.ToRPCError(err, uri)
	}
	return nil
}

func (e *endpoint) unsubscribe(ctx context.Context, r *sdk.UnsubscribeRequest) error {
	if c := sessionFrom(ctx); c != nil {
		c.subs.remove(r.Params.URI)
	}
	return nil
}

// updated tells the subscribers of a resource, if it is the agent's and offered here.
func (e *endpoint) updated(ctx context.Context, agentName, uri string) {
	if to, ok := e.catalog.Load().resource(uri); !ok || to.agent != agentName {
		return
	}
	if err := e.server.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
		e.o.Logger.DebugContext(ctx, "tell of a resource that has changed", "uri", uri, "error", err)
	}
}

// ResourceUpdated tells the clients that subscribed to a resource of an agent that it has changed.
// A resource that the agent does not offer concerns nobody.
func (g *Gateway) ResourceUpdated(ctx context.Context, agentName, uri string) {
	g.all.updated(ctx, agentName, uri)
	g.mu.Lock()
	one := g.one[agentName]
	g.mu.Unlock()
	if one != nil {
		one.updated(ctx, agentName, uri)
	}
}
