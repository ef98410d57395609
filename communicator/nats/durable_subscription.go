package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/bus"
)

// A durableSubscription takes events from a durable consumer of JetStream, never more than it can
// begin to handle at once: an event that waited here would get no sign of life, and be delivered a
// second time.
//
//	reserve a slot -> ask for one event, and wait -> hand it to a handler
//	                                              -> ask for those behind it that have slots, until
//	                                                 none is left
//	the iterator fails, or the consumer was deleted -> make both anew, after a wait
//	stop -> return what still comes -> wait for the handlers
type durableSubscription struct {
	durableHandler
	stop   context.CancelFunc
	cancel context.CancelFunc // of the handlers
	done   chan struct{}      // closed when run has ended
}

// Subscribe calls fn with the durable events of a topic as the agent that group names: of several
// processes, one gets each event, at least once. attempt is the number of its delivery; its ID
// stays the same. Within a process, events of one key are handled one after the other.
//
// stop ends the subscription and waits for the handlers. When its context ends first, it cancels
// them and returns an error; their events are redelivered.
func (v *Durable) Subscribe(group, topic string, fn pubsub.EventHandler) (stop func(context.Context) error, err error) {
	if err := errors.Join(agent.CheckAgentName(group), agent.CheckTopic(topic)); err != nil {
		return nil, err
	}
	s, err := v.subscribe(group, topic, func(ctx context.Context, d *durableEvent) error {
		p, err := bus.DecodeEvent(d.m)
		if err != nil {
			return agent.Errorf(agent.CodeInvalidArgument, "it cannot be read: %w", err)
		}
		return fn(ctx, p, d.attempt)
	})
	if err != nil {
		return nil, err
	}
	return s.end, nil
}

func (v *Durable) subscribe(group, topic string,
	fn func(context.Context, *durableEvent) error) (*durableSubscription, error) {
	s := &durableSubscription{done: make(chan struct{}), durableHandler: durableHandler{v: v, group: group,
		topic: topic, fn: fn, slots: make(chan struct{}, v.o.Concurrency), inHand: map[*durableEvent]struct{}{}}}
	fail := func(err error) error {
		return agent.Errorf(agent.CodeUnavailable, "%s subscribes to the durable events %s: %w", group, topic,
			v.d.o.redact(err))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, fail(errors.New("it is closed"))
	}
	consumer, err := s.consumer(context.Background())
	if err != nil {
		return nil, fail(err)
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.handling, s.cancel = context.WithCancel(context.Background())
	v.subs[s] = struct{}{}
	go s.run(consumer)
	return s, nil
}

// consumer makes the durable consumer of the agent and topic where it is not there yet.
func (s *durableSubscription) consumer(ctx context.Context) (jetstream.Consumer, error) {
	o := s.v.o
	c := jetstream.ConsumerConfig{
		Durable:        s.group + "@" + strings.ReplaceAll(s.topic, ".", "+"),
		FilterSubjects: []string{s.v.eventPrefix + s.topic, s.v.replayPrefix + s.group + "." + s.topic},
		AckPolicy:      jetstream.AckExplicitPolicy, AckWait: o.AckWait, MaxDeliver: -1,
		DeliverPolicy: jetstream.DeliverAllPolicy, MaxAckPending: maxAckPending,
	}
	if o.InOrder {
		c.MaxAckPending = 1
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	consumer, err := s.v.js.CreateOrUpdateConsumer(ctx, s.v.eventStream, c)
	if errors.Is(err, jetstream.ErrStreamNotFound) && s.v.d.embedded != nil && s.v.makeStreams(ctx) == nil {
		return s.v.js.CreateOrUpdateConsumer(ctx, s.v.eventStream, c)
	}
	return consumer, err
}

// run takes events until stop, and then waits for the handlers. Whatever goes wrong with the
// consumer meanwhile, it makes it anew.
func (s *durableSubscription) run(consumer jetstream.Consumer) {
	defer close(s.done)
	handled, end := context.WithCancel(context.Background())
	var alive conc.WaitGroup
	alive.Go(func() { s.keepAlive(handled) })
	defer alive.Wait()
	defer end()
	defer s.work.Wait()
	waits := backoff.New(consumerWaits)
	for s.stopped.Err() == nil {
		var err error
		if consumer == nil {
			consumer, err = s.consumer(s.stopped)
		}
		if err == nil {
			err = s.consume(consumer, waits)
		}
		consumer = nil
		if err != nil && s.stopped.Err() == nil {
			wait := waits.Next()
			s.v.d.o.Logger.Warn("durable events do not come", "agent", s.group, "topic", s.topic, "again in", wait,
				"error", s.v.d.o.redact(err))
			_ = backoff.Sleep(s.stopped, wait) // the loop looks
		}
	}
}

// consume takes events until stop, or until the consumer fails.
func (s *durableSubscription) consume(consumer jetstream.Consumer, waits *backoff.Backoff) error {
	events, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer s.drain(events)
	for s.reserve(1) == 1 {
		m, err := s.next(events)
		if err != nil {
			<-s.slots
			return err
		}
		if m == nil {
			<-s.slots
			continue
		}
		waits.Reset()
		if err := s.takeMore(consumer, s.take(m)); err != nil {
			return err
		}
	}
	return nil
}

// next asks for one event, and for no more. There may be none: then it looks anew whether the
// broker lives. The client stops looking when it loses its connection, and it can miss that it is
// back.
func (s *durableSubscription) next(events jetstream.MessagesContext) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(s.stopped, pullExpiry)
	defer cancel()
	m, err := events.Next(jetstream.NextContext(ctx))
	if err != nil && ctx.Err() != nil && s.stopped.Err() == nil {
		return nil, nil
	}
	return m, err
}

// takeMore asks at once for the events that were waiting behind one, as many as have slots, until
// none is left: a backlog costs no round trip for each.
func (s *durableSubscription) takeMore(consumer jetstream.Consumer, waiting uint64) error {
	for waiting > 0 {
		free := s.reserve(waiting)
		if free == 0 {
			return nil
		}
		batch, err := consumer.FetchNoWait(free)
		waiting = 0
		if err == nil {
			for m := range batch.Messages() {
				waiting = s.take(m)
				free--
			}
			err = batch.Error()
		}
		for range free {
			<-s.slots
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reserve takes the slots that are free, at most n; if there is none it waits for one. It returns 0
// at stop.
func (s *durableSubscription) reserve(n uint64) (got int) {
	if s.stopped.Err() != nil {
		return 0
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.stopped.Done():
		return 0
	}
	for got = 1; uint64(got) < n; got++ {
		select {
		case s.slots <- struct{}{}:
		default:
			return got
		}
	}
	return got
}

// drain ends the iterator and returns the events that it still got to the broker, so that they go
// elsewhere at once. A broker that ends meanwhile may never answer: then they are redelivered
// later.
func (s *durableSubscription) drain(events jetstream.MessagesContext) {
	if !s.v.d.nc.IsConnected() {
		events.Stop()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	events.Drain()
	for {
		m, err := events.Next(jetstream.NextContext(ctx))
		if err != nil {
			return
		}
		if err := m.Nak(); err != nil {
			s.v.d.o.Logger.Debug("an event was not returned", "agent", s.group, "topic", s.topic, "error", err)
		}
	}
}

func (s *durableSubscription) takeNoMore() { s.stop() }

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
