package runtime

import (
	"context"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/nats"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/delivery"
	"github.com/openmas/openmas/runtime/internal/route"
)

// eventRoutes sends each topic's events the way that the project file sets. Its routes are fixed
// once the system has started.
type eventRoutes struct {
	best    *pubsub.Events
	durable map[string]*nats.Durable
}

func (e *eventRoutes) keep(topic string, d *nats.Durable) {
	if e.durable == nil {
		e.durable = map[string]*nats.Durable{}
	}
	e.durable[topic] = d
}

// Publish implements [agent.Publisher].
func (e *eventRoutes) Publish(ctx context.Context, p agent.Event) error {
	if d := e.durable[p.Topic]; d != nil {
		return d.Publish(ctx, p)
	}
	return e.best.Publish(ctx, p)
}

// subscribe has fn called with the events of a topic, as group, until stop, which waits for the
// handlers that run.
func (e *eventRoutes) subscribe(group, topic string, fn pubsub.EventHandler) (stop func(context.Context) error,
	err error) {
	if d := e.durable[topic]; d != nil {
		return d.Subscribe(group, topic, fn)
	}
	return e.best.Subscribe(group, topic, fn)
}

// subscribe hands an agent the events that it subscribes to, until it is about to be closed.
func (r *Runtime) subscribe(c *route.Callee, p planned) error {
	for _, e := range p.info.Subscriptions {
		stop, err := r.events.subscribe(p.name, e.Topic,
			func(ctx context.Context, pub agent.Event, attempt int) error {
				_, err := c.Call(ctx, delivery.Call(p.name, pub, attempt))
				return err
			})
		if err != nil {
			return err
		}
		p.undo.Add("the events "+e.Topic+" of "+p.name, stop)
	}
	return nil
}
