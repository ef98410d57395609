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

// errNotDurable is returned when there can be no dead letters.
var errNotDurable = errors.New("no topic of this project is durable: events: {TOPIC: {durable: true}} in the project " +
	"file makes one so")

// any returns one of the durable routes: the dead letters of all are in one stream.
func (e *eventRoutes) any() (*nats.Durable, error) {
	for _, d := range e.durable {
		return d, nil
	}
	return nil, errNotDurable
}

// A DeadLetter is a durable event that an agent could not handle in any of its attempts.
type DeadLetter struct {
	// Seq names it for [Runtime.ReplayEvents].
	Seq      uint64      `json:"seq"`
	Agent    string      `json:"agent"`
	Event    agent.Event `json:"event"`
	Attempts int         `json:"attempts"`
	Reason   string      `json:"reason"`
	At       time.Time   `json:"at"`
}

// DeadLetters returns the dead letters of an agent and a topic, or of all where that is empty: at
// most limit, the oldest first. The system must be up.
func (r *Runtime) DeadLetters(ctx context.Context, agentName, topic string, limit int) ([]DeadLetter, error) {
	d, err := r.events.any()
	if err != nil {
		return nil, err
	}
	dead, err := d.DeadLetters(ctx, agentName, topic, 0, limit)
	if err != nil {
		return nil, err
	}
	out := make([]DeadLetter, len(dead))
	for i, x := range dead {
		out[i] = DeadLetter(x)
	}
	slices.SortFunc(out, func(a, b DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}

// ReplayEvents publishes dead letters again, for the agents that could not handle them, and returns
// how many. The system must be up.
func (r *Runtime) ReplayEvents(ctx context.Context, seqs ...uint64) (int, error) {
	d, err := r.events.any()
	if err != nil {
		return 0, err
	}
	return d.Replay(ctx, seqs...)
}
