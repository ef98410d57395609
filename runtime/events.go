package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/nats"
	"github.com/openmas/openmas/communicator/pubsub"
)

// eventRoutes sends each topic's events the way that the project file sets. Its routes are fixed
// once the system has started.
type eventRoutes struct {
	sent    func(ctx context.Context, topic string, err error)
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
	err := e.publish(ctx, p)
	e.sent(ctx, p.Topic, err)
	return err
}

func (e *eventRoutes) publish(ctx context.Context, p agent.Event) error {
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

// listening are the events that an agent gets. It is safe for concurrent use.
type listening struct {
	mu    sync.Mutex
	stops map[string]func(context.Context) error // by topic
}

// add notes how the events of a topic are taken back.
func (l *listening) add(topic string, stop func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stops == nil {
		l.stops = map[string]func(context.Context) error{}
	}
	l.stops[topic] = stop
}

func (l *listening) has(topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stops[topic] != nil
}

func (l *listening) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stops) == 0
}

// take takes out what add noted of a topic; nil: nothing.
func (l *listening) take(topic string) func(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	stop := l.stops[topic]
	delete(l.stops, topic)
	return stop
}

// takeOver takes the events of those of topics that old gets.
func (l *listening) takeOver(old *listening, topics []agent.SubscriptionInfo) {
	for _, t := range topics {
		if stop := old.take(t.Topic); stop != nil {
			l.add(t.Topic, stop)
		}
	}
}

// Run takes all events back, and waits for the handlers that run.
func (l *listening) Run(ctx context.Context) error {
	l.mu.Lock()
	stops := l.stops
	l.stops = nil
	l.mu.Unlock()
	var errs []error
	for topic, stop := range stops {
		if err := stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop the events of %s: %w", topic, err))
		}
	}
	return errors.Join(errs...)
}

// errNotDurable is returned when there can be no dead letters.
var errNotDurable = errors.New("no topic of this project is durable: an event that an agent could not handle is in " +
	"the log of its process (openmas logs) and is not kept; broker: {type: nats} and events: {TOPIC: {durable: true}} " +
	"in the project file keep it")

// any returns one of the durable routes: the dead letters of all are in one stream.
func (e *eventRoutes) any() (*nats.Durable, error) {
	for _, d := range e.durable {
		return d, nil
	}
	return nil, errNotDurable
}
