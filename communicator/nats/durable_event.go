package nats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/delivery"
)

// A durableEvent is an event in hand.
type durableEvent struct {
	raw     jetstream.Msg
	m       *message.Message
	attempt int
	key     string
	turn    delivery.Turn
}

// take begins to handle an event, for which the caller has reserved a slot. It returns how many
// wait behind it.
func (s *durableSubscription) take(raw jetstream.Msg) (waiting uint64) {
	e := &durableEvent{raw: raw, m: received(raw.Headers(), raw.Data()), attempt: 1}
	if meta, err := raw.Metadata(); err == nil {
		e.attempt, waiting = int(meta.NumDelivered), meta.NumPending
	}
	e.key = e.m.Metadata["key"]
	e.turn = s.order.Take(e.key)
	s.mu.Lock()
	s.inHand[e] = struct{}{}
	s.mu.Unlock()
	s.work.Go(func() {
		defer func() { <-s.slots }()
		defer s.letGo(e)
		defer e.turn.Done()
		s.handle(e)
	})
	return waiting
}

func (s *durableSubscription) letGo(e *durableEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inHand, e)
}

// keepAlive tells the broker of the events in hand until ctx ends: else it redelivers them after
// AckWait.
func (s *durableSubscription) keepAlive(ctx context.Context) {
	for backoff.Sleep(ctx, s.v.o.AckWait/3) == nil {
		s.mu.Lock()
		events := slices.Collect(maps.Keys(s.inHand))
		s.mu.Unlock()
		for _, e := range events {
			s.settle(e, e.raw.InProgress())
		}
	}
}

// handle runs the handler and settles the event with the broker:
//
//	it succeeds                        -> acknowledged
//	it fails, attempts are left
//	  the event has no key             -> returned: later, and elsewhere perhaps, again
//	  it has one                       -> tried again here, before the events behind it
//	it fails for good or too often     -> dead-lettered
//	the subscription ends              -> returned at once
//
// An event that was delivered twice as often as it may fail is dead-lettered without a try: it ends
// the processes of its handlers before they can report a failure.
func (s *durableSubscription) handle(e *durableEvent) {
	e.turn.Wait()
	for ; ; e.attempt++ {
		if s.handling.Err() != nil {
			s.settle(e, e.raw.Nak())
			return
		}
		err := fmt.Errorf("delivered %d times and never handled to the end", e.attempt)
		if e.attempt <= 2*s.v.o.Attempts {
			err = delivery.Try(s.v.d.o.Logger, s.group, s.topic, func() error { return s.fn(s.handling, e) })
		}
		wait := s.v.waits().Wait(e.attempt)
		switch {
		case err == nil:
			s.settle(e, e.raw.Ack())
			return
		case s.handling.Err() != nil:
			s.settle(e, e.raw.Nak())
			return
		case e.attempt >= s.v.o.Attempts || delivery.Final(err):
			if bad := s.deadLetter(e, err); bad != nil { // it stays where it is
				s.v.d.o.Logger.Error("an event could not be dead-lettered", "agent", s.group, "topic", s.topic,
					"event", e.m.UUID, "error", bad)
				s.settle(e, e.raw.NakWithDelay(wait))
			}
			return
		}
		s.v.d.o.Logger.Warn("a durable event failed", "agent", s.group, "topic", s.topic, "event", e.m.UUID,
			"attempt", e.attempt, "again in", wait, "error", err)
		if e.key == "" {
			s.settle(e, e.raw.NakWithDelay(wait))
			return
		}
		if backoff.Sleep(s.stopped, wait) != nil {
			s.settle(e, e.raw.Nak())
			return
		}
	}
}

// settle notes that the broker does not know: it delivers the event again.
func (s *durableSubscription) settle(e *durableEvent, err error) {
	if err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		s.v.d.o.Logger.Debug("an event was not settled with the broker", "agent", s.group, "topic", s.topic, "event",
			e.m.UUID, "error", err)
	}
}

// waits are those between the attempts at an event.
func (v *Durable) waits() backoff.Policy {
	return backoff.Policy{Initial: v.o.Backoff, Multiplier: 2, Max: max(maxDurableBackoff, v.o.Backoff)}
}
