package agent

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"

	"github.com/openmas/openmas/internal/jsonfields"
)

// An Event is what an agent publishes: a fact about a topic, for whoever listens.
type Event struct {
	// ID is stable over redeliveries.
	ID    string
	Topic string
	// Source is the agent that published it.
	Source string
	// Key orders: events of one topic with equal keys are handled one after the other, as
	// published. Empty: no order.
	Key string
	// Payload is JSON.
	Payload json.RawMessage
	// Meta travels with the event: trace context.
	Meta map[string]string
}

// A Publisher hands events over for delivery. It may be used concurrently.
type Publisher interface {
	Publish(ctx context.Context, e Event) error
}

// A PublishOption refines an event that is published. Only this package makes them.
type PublishOption interface{ publish(e *Event) }

type publishOption func(*Event)

func (o publishOption) publish(e *Event) { o(e) }

// EventKey keeps events of one topic with equal keys in order.
func EventKey(key string) PublishOption { return publishOption(func(e *Event) { e.Key = key }) }

// EventID sets the event's ID, so that publishing again after a failure can be recognised as the
// same event.
func EventID(id string) PublishOption { return publishOption(func(e *Event) { e.ID = id }) }

// A Subscription is a topic that an agent listens to, with the handler for its events. Make one
// with [On].
type Subscription struct {
	info    SubscriptionInfo
	handler Caller
	err     error
}

// On subscribes to a topic with a typed handler. Handlers run concurrently, bounded by the
// communicator; an error asks for redelivery where the broker promises that, and is logged where it
// does not. [CallFrom] returns the event's stable ID, who published it (From), and which Attempt
// this is.
func On[T any](topic string, fn func(context.Context, T) error) Subscription {
	s := Subscription{info: SubscriptionInfo{Topic: topic, Fields: jsonFields[T]()}, err: CheckTopic(topic)}
	if fn == nil {
		s.err = errors.Join(s.err, errors.New("the function is nil"))
	}
	s.handler = CallerFunc(func(ctx context.Context, c *Call) (*Result, error) {
		var v T
		if err := json.Unmarshal(c.Input, &v); err != nil {
			return nil, Refusedf(CodeInvalidArgument, "event %s: the payload does not decode into %T: %w", c.Name, v,
				err)
		}
		if err := fn(ctx, v); err != nil {
			return nil, toolError(ctx, err)
		}
		return &Result{}, nil
	})
	return s
}

// jsonFields are the names that encoding/json knows of a struct, sorted; none where T is no struct,
// or reads its JSON by itself.
func jsonFields[T any]() []string {
	t := reflect.TypeFor[T]()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	var names []string
	for _, f := range jsonfields.Of(t) {
		names = append(names, f.JSON)
	}
	slices.Sort(names)
	return names
}

// Info describes the subscription.
func (s Subscription) Info() SubscriptionInfo { return s.info }

// Err is what is wrong with the definition; nil if nothing.
func (s Subscription) Err() error {
	if s.handler == nil && s.err == nil {
		return errors.New("a subscription without a handler: make it with agent.On")
	}
	return s.err
}
