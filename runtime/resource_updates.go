package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/updates"
)

// subscribeResource is called by the gateway when a client subscribes. Our own types publish
// updates without it.
func (r *Runtime) subscribeResource(ctx context.Context, name, uri string) error {
	s, ok := r.subscriptions.Load(name)
	if !ok {
		return nil
	}
	return r.mask(s.(*updates.Subscriptions).Add(ctx, uri))
}

// forwardResourceUpdates passes what agents publish about their resources on to the clients of the
// gateway. Every process with a gateway gets it, hence the group of its own.
func (r *Runtime) forwardResourceUpdates() error {
	group := child.Runtime + "-" + strings.ToLower(rand.Text()[:12])
	stop, err := r.events.subscribe(group, agent.TopicResourceUpdated,
		func(ctx context.Context, p agent.Event, _ int) error {
			var u agent.ResourceUpdate
			if err := json.Unmarshal(p.Payload, &u); err != nil {
				return agent.Refusedf(agent.CodeInvalidArgument, "%s: %w", p.Topic, err)
			}
			r.resourceUpdated(ctx, p.Source, u.URI)
			return nil
		})
	if err != nil {
		return err
	}
	r.onClose("resource updates", stop)
	return nil
}

func (r *Runtime) resourceUpdated(ctx context.Context, name, uri string) {
	if g := r.gateway.Load(); g != nil {
		g.ResourceUpdated(ctx, name, uri)
	}
}
