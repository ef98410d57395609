package runtime

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/nats"
	"github.com/openmas/openmas/communicator/pubsub"
)

// eventRoutes sends each topic's events the way that the project file says. Its routes are fixed
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

// errNotDurable says why there are no dead events to look at.
var errNotDurable = errors.New("no topic of this project is durable: events: {TOPIC: {durable: true}} in the project " +
	"file makes one so")

// any is one of the durable routes: the dead of all are in one place.
func (e *eventRoutes) any() (*nats.Durable, error) {
	for _, d := range e.durable {
		return d, nil
	}
	return nil, errNotDurable
}

// DeadEvent is a durable event that an agent could not handle in any of its attempts.
type DeadEvent struct {
	// Seq names it for [Runtime.ReplayEvents].
	Seq      uint64      `json:"seq"`
	Agent    string      `json:"agent"`
	Event    agent.Event `json:"event"`
	Attempts int         `json:"attempts"`
	Reason   string      `json:"reason"`
	At       time.Time   `json:"at"`
}

// DeadEvents lists dead events, the oldest first and at most limit: those of one agent or topic, or
// of all where that is empty. The system must be up.
func (r *Runtime) DeadEvents(ctx context.Context, agentName, topic string, limit int) ([]DeadEvent, error) {
	d, err := r.events.any()
	if err != nil {
		return nil, err
	}
	dead, err := d.ListDead(ctx, agentName, topic, 0, limit)
	if err != nil {
		return nil, err
	}
	out := make([]DeadEvent, len(dead))
	for i, x := range dead {
		out[i] = DeadEvent(x)
	}
	slices.SortFunc(out, func(a, b DeadEvent) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}

// ReplayEvents delivers dead events again to the agents that could not handle them, and returns how
// many. The system must be up.
func (r *Runtime) ReplayEvents(ctx context.Context, seqs ...uint64) (int, error) {
	d, err := r.events.any()
	if err != nil {
		return 0, err
	}
	return d.Replay(ctx, seqs...)
}
