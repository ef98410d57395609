package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// maxWatched is how many resources of one foreign server are watched: clients come and go, and the
// server is not told when nobody wants to know any more.
const maxWatched = 1000

// watched are the resources of one foreign server that clients of the gateway subscribed to. A new
// session to the server subscribes to all of them again.
type watched struct {
	mu   sync.Mutex
	uris map[string]bool
	peer subscriber // the session that watches; nil: none
}

// subscriber is a session to a server that can tell of changes.
type subscriber interface {
	Subscribe(ctx context.Context, uri string) error
}

// add subscribes to a resource, unless that was done.
func (w *watched) add(ctx context.Context, uri string) error {
	w.mu.Lock()
	known, full, peer := w.uris[uri], len(w.uris) >= maxWatched, w.peer
	w.mu.Unlock()
	switch {
	case known:
		return nil
	case full:
		return agent.Refusedf(agent.CodeResourceExhausted, "%d resources of the agent are watched, the limit",
			maxWatched)
	case peer == nil:
		return agent.Refusedf(agent.CodeUnavailable, "the agent cannot be reached now")
	}
	if err := peer.Subscribe(ctx, uri); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.uris == nil {
		w.uris = map[string]bool{}
	}
	w.uris[uri] = true
	return nil
}

// rise makes a fresh session the one that watches.
func (w *watched) rise(p communicator.Peer) (s subscriber, uris []string) {
	s, _ = p.(subscriber)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peer = s
	for uri := range w.uris {
		uris = append(uris, uri)
	}
	return s, uris
}

// watch is asked by the gateway when a client subscribes. What our own types publish needs nobody
// to ask for it.
func (r *Runtime) watch(ctx context.Context, name, uri string) error {
	w, ok := r.watched.Load(name)
	if !ok {
		return nil
	}
	return r.mask(w.(*watched).add(ctx, uri))
}

// rewatch subscribes a fresh session to what is watched. ctx is the session's instance's.
func (r *Runtime) rewatch(ctx context.Context, w *watched, p communicator.Peer) {
	s, uris := w.rise(p)
	for _, uri := range uris {
		if err := s.Subscribe(ctx, uri); err != nil {
			r.log.Warn("clients do not hear of changes of a resource any more", "agent", p.Info().Name, "uri", uri,
				"error", err)
		}
	}
}

// listenForUpdates passes what agents say about their resources on to the clients of the gateway.
// Every process with a gateway hears it, hence the group of its own.
func (r *Runtime) listenForUpdates() error {
	group := selfName + "-" + strings.ToLower(rand.Text()[:12])
	stop, err := r.events.subscribe(group, agent.TopicResourceUpdated,
		func(ctx context.Context, p agent.Event, _ int) error {
			var u agent.ResourceUpdate
			if err := json.Unmarshal(p.Payload, &u); err != nil {
				return agent.Refusedf(agent.CodeInvalidArgument, "%s: %w", p.Topic, err)
			}
			r.updated(ctx, p.Source, u.URI)
			return nil
		})
	if err != nil {
		return err
	}
	r.onClose("news of resources", stop)
	return nil
}

func (r *Runtime) updated(ctx context.Context, name, uri string) {
	if g := r.gateway.Load(); g != nil {
		g.ResourceUpdated(ctx, name, uri)
	}
}
