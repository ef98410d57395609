package agent

import (
	"context"
	"encoding/json"
	"errors"
)

// An Event is a topic that an agent listens to, with the handler for it. Make one with [On].
type Event struct {
	info    EventInfo
	handler Caller
	err     error
}

// EventInfo describes what an agent listens to.
type EventInfo struct {
	Topic string `json:"topic"`
}

// On listens to a topic with a typed handler. Handlers run concurrently, bounded by the
// communicator; an error asks for redelivery where the broker promises that, and is logged where it
// does not. [CallFrom] gives the event's stable ID, who published it (Caller), and which Attempt
// this is.
func On[T any](topic string, fn func(context.Context, T) error) Event {
	e := Event{info: EventInfo{Topic: topic}, err: CheckTopic(topic)}
	if fn == nil {
		e.err = errors.Join(e.err, errors.New("the function is nil"))
	}
	e.handler = CallerFunc(func(ctx context.Context, c *Call) (*Result, error) {
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
	return e
}

// Info describes the event.
func (e Event) Info() EventInfo { return e.info }

// Err is what is wrong with the definition; nil if nothing.
func (e Event) Err() error {
	if e.handler == nil && e.err == nil {
		return errors.New("an event without a handler: make it with agent.On")
	}
	return e.err
}

// A Publication is an event on its way.
type Publication struct {
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
	Publish(ctx context.Context, p Publication) error
}

// A PublishOption refines a publication.
type PublishOption func(*Publication)

// EventKey keeps events of one topic with equal keys in order.
func EventKey(key string) PublishOption { return func(p *Publication) { p.Key = key } }

// EventID sets the event's ID, so that publishing again after a failure can be recognised as the
// same event.
func EventID(id string) PublishOption { return func(p *Publication) { p.ID = id } }
