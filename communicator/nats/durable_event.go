package nats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

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

// A durableHandler handles the events of a [durableSubscription].
type durableHandler struct {
	v            *Durable
	group, topic string
	fn           func(context.Context, *durableEvent) error

	stopped  context.Context // done: take no more
	handling context.Context // of the handlers
	slots    chan struct{}   // one for each event in hand
	work     conc.WaitGroup  // what is done for events in hand
	order    delivery.Order

	mu     sync.Mutex
	inHand map[*durableEvent]struct{}
}

// take begins to handle an event, for which the caller has reserved a slot. It returns how many
// wait behind it.
func (s *durableHandler) take(raw jetstream.Msg) (waiting uint64) {
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

func (s *durableHandler) letGo(e *durableEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inHand, e)
}

// keepAlive tells the broker of the events in hand until ctx ends: else it redelivers them after
// AckWait.
func (s *durableHandler) keepAlive(ctx context.Context) {
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
func (s *durableHandler) handle(e *durableEvent) {
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
func (s *durableHandler) settle(e *durableEvent, err error) {
	if err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		s.v.d.o.Logger.Debug("an event was not settled with the broker", "agent", s.group, "topic", s.topic, "event",
			e.m.UUID, "error", err)
	}
}

// deadLetter moves an event to the stream of dead letters. A process that dies halfway leaves it to
// another, and the broker drops the second of two equal dead letters.
func (s *durableHandler) deadLetter(d *durableEvent, reason error) error {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(reason.Error(), "?")), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + " ..."
	}
	h := maps.Clone(d.raw.Headers())
	for k := range h {
		if strings.HasPrefix(k, "Nats-") {
			delete(h, k)
		}
	}
	if h == nil {
		h = natsgo.Header{}
	}
	h.Set(deadAgent, s.group)
	h.Set(deadAttempts, strconv.Itoa(d.attempt))
	h.Set(deadReason, text)
	meta, err := d.raw.Metadata()
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%s/%d/%s", s.group, meta.Sequence.Stream, meta.Timestamp.Format(time.RFC3339Nano))
	if err := s.v.storeMsg(context.Background(), &natsgo.Msg{Subject: s.v.deadPrefix + s.group + "." + s.topic,
		Header: h,
		Data:   d.raw.Data()}, id); err != nil {
		return err
	}
	s.settle(d, d.raw.Term())
	dead := newDeadLetter(0, h, d.raw.Data(), time.Now())
	dead.Event.Topic = s.topic
	s.v.o.OnDeadLetter(dead)
	return nil
}
