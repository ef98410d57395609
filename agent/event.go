package agent

import (
	"context"
	"encoding/json"
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
