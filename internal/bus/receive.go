package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
)

// A driver and a receiver are what this package sees of pubsub's Driver and Receiver.
type driver interface {
	Subscriber(group string) (message.Subscriber, error)
}

type receiver interface {
	Receive(topic string, fn func(*message.Message)) (stop func() error, err error)
}

// Receive calls fn with each message to the topic, at most once: it is acknowledged before. A
// driver whose subscriber is not a receiver costs a goroutine. stop ends it, waits for that
// goroutine and closes the subscriber.
func Receive(d driver, group, topic string, fn func(*message.Message)) (stop func() error, err error) {
	sub, err := d.Subscriber(group)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	if r, ok := sub.(receiver); ok {
		end, err := r.Receive(topic, fn)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("subscribe to %s: %w", topic, err), sub.Close())
		}
		return func() error { return errors.Join(end(), sub.Close()) }, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	in, err := sub.Subscribe(ctx, topic)
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("subscribe to %s: %w", topic, err), sub.Close())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range in {
			m.Ack()
			fn(m)
		}
	}()
	return func() error {
		err := sub.Close() // before the context ends: what the driver holds back for us is still to come
		cancel()
		<-done
		return err
	}, nil
}
