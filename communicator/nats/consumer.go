package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/delivery"
)

// A durableSubscription takes events from a durable consumer of JetStream, never more than it can
// begin to handle at once: for each that it could, one pull request waits at the server. (The
// library's iterator fetches ahead; what waits there gets no sign of life and is delivered twice.)
type durableSubscription struct {
	v            *Durable
	group, topic string
	name         string // of the consumer
	fn           func(context.Context, *durableEvent) error

	stopped  context.Context // done: take no more
	stop     context.CancelFunc
	handling context.Context // of the handlers
	cancel   context.CancelFunc
	in       chan *natsgo.Msg   // answers to pull requests
	freed    chan *durableEvent // handled
	done     chan struct{}      // closed when run has ended

	order delivery.Order
}

// A durableEvent is an event in hand.
type durableEvent struct {
	raw     *natsgo.Msg
	m       *message.Message
	attempt int
	key     string
	turn    delivery.Turn
}

const (
	pullExpires = 20 * time.Second
	pullRetry   = 500 * time.Millisecond
)

func (v *Durable) subscribe(group, topic string, fn func(context.Context, *durableEvent) error) (*durableSubscription,
	error) {
	s := &durableSubscription{v: v, group: group, topic: topic, name: group + "@" + strings.ReplaceAll(topic, ".", "+"),
		fn: fn,
		in: make(chan *natsgo.Msg, v.o.Concurrency+8), freed: make(chan *durableEvent), done: make(chan struct{})}
	fail := func(err error) error {
		return agent.Errorf(agent.CodeUnavailable, "%s subscribes to the durable events %s: %w", group, topic,
			v.d.o.conceal(err))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, fail(errors.New("it is closed"))
	}
	if err := s.consumer(context.Background()); err != nil {
		return nil, fail(err)
	}
	inbox := v.d.nc.NewInbox() + "."
	status := v.d.nc.StatusChanged(natsgo.CONNECTED)
	unsubscribe, err := v.d.receive(inbox+"*", "", func(m *natsgo.Msg) { s.in <- m })
	if err != nil {
		v.d.nc.RemoveStatusListener(status)
		return nil, fail(err)
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.handling, s.cancel = context.WithCancel(context.Background())
	v.subs[s] = struct{}{}
	go s.run(inbox, status, unsubscribe)
	return s, nil
}

// consumer makes the durable consumer of the agent and topic where it is not there yet.
func (s *durableSubscription) consumer(ctx context.Context) error {
	o := s.v.o
	c := jetstream.ConsumerConfig{Durable: s.name,
		FilterSubjects: []string{s.v.published + s.topic, s.v.replay + s.group + "." + s.topic},
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        o.AckWait, MaxDeliver: -1, DeliverPolicy: jetstream.DeliverAllPolicy, MaxAckPending: maxAckPending}
	if o.InOrder {
		c.MaxAckPending = 1
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	_, err := s.v.js.CreateOrUpdateConsumer(ctx, s.v.events, c)
	return err
}

// run asks for events and hands them out until stop, and then lets the handlers end.
func (s *durableSubscription) run(inbox string, status chan natsgo.Status, unsubscribe func() error) {
	defer close(s.done)
	defer s.v.d.nc.RemoveStatusListener(status)
	var asked pulls
	hand := map[*durableEvent]struct{}{}
	alive := time.NewTicker(s.v.o.AckWait / 3)
	defer alive.Stop()
	again := time.NewTicker(pullRetry)
	defer again.Stop()
	number := 0
	stopped, drained := s.stopped.Done(), (chan error)(nil)
	for {
		for stopped != nil && len(asked)+len(hand) < s.v.o.Concurrency {
			number++
			p := pull{inbox + strconv.Itoa(number), time.Now().Add(pullExpires + flushTimeout)}
			if s.pull(p.reply) != nil {
				break // again later
			}
			asked = append(asked, p)
		}
		select {
		case m := <-s.in:
			code := m.Header.Get("Status")
			switch {
			case code == "100":
			case code == "":
				asked = asked.without("")
				if d := s.take(m); d != nil {
					hand[d] = struct{}{}
				}
			case code == "408" || code == "404":
				asked = asked.without(m.Subject) // nothing came in time
			default:
				if code == "503" || strings.Contains(m.Header.Get("Description"), "Consumer Deleted") {
					s.revive()
				}
				asked = append(asked.without(m.Subject), pull{over: time.Now().Add(pullRetry)}) // not at once again
			}
		case d := <-s.freed:
			delete(hand, d)
		case <-alive.C:
			for d := range hand {
				s.settle(d, d.raw.InProgress())
			}
		case now := <-again.C:
			asked = slices.DeleteFunc(asked, func(p pull) bool { return now.After(p.over) })
		case _, open := <-status: // the connection is back, the requests are gone
			if asked = nil; !open {
				status = nil
			}
		case <-stopped:
			stopped = nil
			drained = make(chan error, 1)
			go func() { drained <- unsubscribe() }()
		case err := <-drained:
			if err != nil {
				s.v.d.o.Logger.Warn("a durable subscription did not end well", "agent", s.group, "topic", s.topic,
					"error", err)
			}
			drained = nil
		}
		if stopped == nil && drained == nil && len(hand) == 0 && len(s.in) == 0 {
			return
		}
	}
}

// A pull request is answered by one event, to which the server gives no other sign of the request,
// or by a status, to its reply subject.
type pull struct {
	reply string
	over  time.Time // then it is forgotten
}

type pulls []pull

// without the request of that reply subject; the oldest one, which the server serves first, when
// that is unknown.
func (p pulls) without(reply string) pulls {
	if len(p) == 0 {
		return p
	}
	i := max(slices.IndexFunc(p, func(q pull) bool { return q.reply == reply }), 0)
	return slices.Delete(p, i, i+1)
}

// pull asks for one event.
func (s *durableSubscription) pull(reply string) error {
	body, err := json.Marshal(map[string]any{"batch": 1, "expires": pullExpires.Nanoseconds()})
	if err != nil {
		return err
	}
	return s.v.d.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+s.v.events+"."+s.name, reply, body)
}

// revive makes the consumer anew, should somebody have deleted it.
func (s *durableSubscription) revive() {
	if err := s.consumer(s.stopped); err != nil && s.stopped.Err() == nil {
		s.v.d.o.Logger.Warn("durable events do not come", "agent", s.group, "topic", s.topic, "error",
			s.v.d.o.conceal(err))
	}
}

// take begins to handle an event, or gives it back when it came too late.
func (s *durableSubscription) take(raw *natsgo.Msg) *durableEvent {
	d := &durableEvent{raw: raw, m: received(raw.Header, raw.Data), attempt: 1}
	if meta, err := raw.Metadata(); err == nil {
		d.attempt = int(meta.NumDelivered)
	}
	if s.stopped.Err() != nil {
		s.settle(d, raw.Nak())
		return nil
	}
	d.key = d.m.Metadata["key"]
	d.turn = s.order.Take(d.key)
	go func() {
		s.handle(d)
		d.turn.Done()
		s.freed <- d
	}()
	return d
}

// handle runs the handler and settles the event. One with a key is tried again here, before its
// successors; another one by the server, later, elsewhere perhaps. An event that was delivered very
// often without an end of its handling kills its handlers' processes.
func (s *durableSubscription) handle(d *durableEvent) {
	d.turn.Wait()
	for ; ; d.attempt++ {
		wait := s.v.waits().Wait(d.attempt)
		if s.handling.Err() != nil {
			s.settle(d, d.raw.Nak())
			return
		}
		err := fmt.Errorf("delivered %d times and never handled to the end", d.attempt)
		if d.attempt <= 2*s.v.o.Attempts {
			err = delivery.Try(s.v.d.o.Logger, s.group, s.topic, func() error { return s.fn(s.handling, d) })
		}
		switch {
		case err == nil:
			s.settle(d, d.raw.Ack())
			return
		case s.handling.Err() != nil:
			s.settle(d, d.raw.Nak())
			return
		case d.attempt >= s.v.o.Attempts || delivery.Final(err):
			if bad := s.bury(d, err); bad != nil { // it stays where it is
				s.v.d.o.Logger.Error("a dead event could not be put aside", "agent", s.group, "topic", s.topic, "event",
					d.m.UUID, "error", bad)
				s.settle(d, d.raw.NakWithDelay(wait))
			}
			return
		case d.key == "":
			s.v.d.o.Logger.Warn("a durable event failed", "agent", s.group, "topic", s.topic, "event", d.m.UUID,
				"attempt", d.attempt, "again in", wait, "error", err)
			s.settle(d, d.raw.NakWithDelay(wait))
			return
		}
		if backoff.Sleep(s.stopped, wait) != nil {
			s.settle(d, d.raw.Nak())
			return
		}
	}
}

// settle notes that the server could not be told: it delivers the event again.
func (s *durableSubscription) settle(d *durableEvent, err error) {
	if err != nil {
		s.v.d.o.Logger.Debug("the broker was not told about an event", "agent", s.group, "topic", s.topic, "event",
			d.m.UUID, "error", err)
	}
}

// waits are those between the attempts at an event.
func (v *Durable) waits() backoff.Policy {
	return backoff.Policy{Initial: v.o.Backoff, Multiplier: 2, Max: max(maxDurableBackoff, v.o.Backoff)}
}

// end takes no more events and waits for the handlers, at most until ctx ends: then it cancels
// them, and they end soon or go on without anyone waiting.
func (s *durableSubscription) end(ctx context.Context) error {
	s.stop()
	s.v.mu.Lock()
	delete(s.v.subs, s)
	s.v.mu.Unlock()
	defer s.cancel()
	select {
	case <-s.done:
		return nil
	default:
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end the durable subscription of %s to %s: %w", s.group, s.topic, ctx.Err())
	}
}
