// Package updates is who wants to know when resources of foreign servers change.
package updates

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// maxSubscriptions bounds the subscriptions to one foreign server: clients come and go, and
// the server is not told when nobody wants updates any more.
const maxSubscriptions = 1000

// Subscriptions are those of the gateway's clients to the resources of one foreign server.
// A new session to the server gets all of them again. The
// zero Subscriptions are none. They are safe for concurrent use.
type Subscriptions struct {
	mu   sync.Mutex
	uris map[string]bool
	peer subscriber // the session that has them; nil: none
}

// subscriber is a session to a server that can report changes.
type subscriber interface {
	Subscribe(ctx context.Context, uri string) error
}

// Next returns those of a session that is to take the place of s's.
func (s *Subscriptions) Next() *Subscriptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Subscriptions{uris: maps.Clone(s.uris)}
}

// TakeOver adds what old has got since Next.
func (s *Subscriptions) TakeOver(ctx context.Context, old *Subscriptions, log *slog.Logger) {
	old.mu.Lock()
	uris := slices.Collect(maps.Keys(old.uris))
	old.mu.Unlock()
	for _, uri := range uris {
		if err := s.Add(ctx, uri); err != nil {
			log.Warn("clients get no updates of a resource any more", "uri", uri, "error", err)
		}
	}
}

// Add subscribes to a resource, unless that was done.
func (s *Subscriptions) Add(ctx context.Context, uri string) error {
	s.mu.Lock()
	known, full, peer := s.uris[uri], len(s.uris) >= maxSubscriptions, s.peer
	s.mu.Unlock()
	switch {
	case known:
		return nil
	case full:
		return agent.Refusedf(agent.CodeResourceExhausted, "there are subscriptions to %d resources of the agent, "+
			"the limit",
			maxSubscriptions)
	case peer == nil:
		return agent.Refusedf(agent.CodeUnavailable, "the agent cannot be reached now")
	}
	if err := peer.Subscribe(ctx, uri); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uris == nil {
		s.uris = map[string]bool{}
	}
	s.uris[uri] = true
	return nil
}

// Any reports whether somebody wants to know.
func (s *Subscriptions) Any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uris) > 0
}

// Use has the next subscriptions made with a fresh session.
func (s *Subscriptions) Use(peer communicator.Peer) {
	to, _ := peer.(subscriber)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peer = to
}

// MoveTo makes all subscriptions again with a fresh session. ctx is the session's instance's.
func (s *Subscriptions) MoveTo(ctx context.Context, peer communicator.Peer, log *slog.Logger) {
	to, _ := peer.(subscriber)
	s.mu.Lock()
	s.peer = to
	uris := slices.Collect(maps.Keys(s.uris))
	s.mu.Unlock()
	for _, uri := range uris {
		if err := to.Subscribe(ctx, uri); err != nil {
			log.Warn("clients get no updates of a resource any more", "agent", peer.Info().Name, "uri", uri,
				"error", err)
		}
	}
}
