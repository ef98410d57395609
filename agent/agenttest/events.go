package agenttest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/delivery"
)

const (
	// maxQueue bounds the events that wait for one subscription, as a broker does.
	maxQueue = 1024
	// backoff is a test's, not the runtime's: what fails is tried again at once.
	backoff = time.Millisecond
)

// broker hands each event to every agent that listens to its topic, as the runtime's brokers do,
// but without one.
type broker struct {
	ctx    context.Context // of deliveries
	record func(ctx context.Context, c *agent.Call, next agent.Caller) (*agent.Result, error)
	note   func(ctx context.Context, p agent.Event) // that it is published
	log    *slog.Logger

	mu        sync.Mutex
	topics    map[string][]*subscription
	published []agent.Event
	underWay  int           // deliveries
	idle      chan struct{} // closed when underWay is 0 again; nil while it is
}

// A subscription is one agent's to one topic.
type subscription struct {
	dispatcher *delivery.Dispatcher
	queue      chan agent.Event
	senders    sync.WaitGroup // who may still put something in the queue
	closing    chan struct{}  // closed: who waits for room leaves
	handlers   conc.WaitGroup // the one that takes from the queue, too
}

// subscribe has the agent handle the events of a topic until stop, which waits for those that it
// was sent.
func (b *broker) subscribe(name string, to agent.Caller, topic string) (stop func(context.Context) error) {
	s := &subscription{queue: make(chan agent.Event, maxQueue), closing: make(chan struct{})}
	s.dispatcher = delivery.New(delivery.Options{Agent: name, Topic: topic, Logger: b.log,
		Concurrency: delivery.DefaultConcurrency, Attempts: delivery.DefaultAttempts, Backoff: backoff,
		OnDeadLetter: func(p agent.Event, attempts int, err error) {
			b.log.Warn("an event was not handled", "agent", name, "topic", p.Topic, "event", p.ID, "attempts", attempts,
				"error", err)
		}}, func(ctx context.Context, p agent.Event, attempt int) error {
		_, err := b.record(ctx, delivery.Call(name, p, attempt), to)
		return err
	})
	b.mu.Lock()
	if b.topics == nil {
		b.topics = map[string][]*subscription{}
	}
	b.topics[topic] = append(b.topics[topic], s)
	b.mu.Unlock()
	s.handlers.Go(func() { b.run(s) })
	return func(ctx context.Context) error {
		b.mu.Lock()
		b.topics[topic] = slices.DeleteFunc(b.topics[topic], func(x *subscription) bool { return x == s })
		b.mu.Unlock()
		close(s.closing)
		s.senders.Wait()
		close(s.queue)
		s.handlers.Wait()
		return s.dispatcher.Wait(ctx)
	}
}

// run hands out the events of a subscription in their order. A delivery outlives the call that
// published, and ends with the system.
func (b *broker) run(s *subscription) {
	ctx := b.ctx
	for p := range s.queue {
		if !s.dispatcher.Reserve(ctx.Done(), nil) {
			b.done()
			continue
		}
		e := s.dispatcher.Accept(p)
		s.handlers.Go(func() {
			defer b.done()
			s.dispatcher.Handle(ctx, e)
		})
	}
}

// Publish implements [agent.Publisher].
func (b *broker) Publish(ctx context.Context, p agent.Event) error {
	if err := ctx.Err(); err != nil {
		return agent.Refusedf(agent.CodeOf(err), "publish %q: %w", p.Topic, err)
	}
	b.mu.Lock()
	b.published = append(b.published, p)
	b.note(ctx, p)
	to := slices.Clone(b.topics[p.Topic])
	for _, s := range to {
		s.senders.Add(1)
	}
	if b.underWay += len(to); b.idle == nil && len(to) > 0 {
		b.idle = make(chan struct{})
	}
	b.mu.Unlock()
	var err error
	for _, s := range to {
		if full := s.put(ctx, p); full != nil {
			b.done()
			err = full
		}
		s.senders.Done()
	}
	return err
}

// put queues an event, and waits where there is no room.
func (s *subscription) put(ctx context.Context, p agent.Event) error {
	select {
	case s.queue <- p:
		return nil
	default:
	}
	full := time.NewTimer(delivery.DefaultPublishTimeout)
	defer full.Stop()
	select {
	case s.queue <- p:
		return nil
	case <-s.closing:
		return agent.Errorf(agent.CodeUnavailable, "publish %s: a subscriber is stopping", p.Topic)
	case <-full.C:
		return agent.Errorf(agent.CodeResourceExhausted, "publish %s: a subscriber is too slow", p.Topic)
	case <-ctx.Done():
		return agent.Errorf(agent.CodeOf(ctx.Err()), "publish %s: %w", p.Topic, ctx.Err())
	}
}

// done ends a delivery.
func (b *broker) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.underWay--; b.underWay == 0 {
		close(b.idle)
		b.idle = nil
	}
}

func (b *broker) settle() {
	for {
		b.mu.Lock()
		idle := b.idle
		b.mu.Unlock()
		if idle == nil {
			return
		}
		<-idle
	}
}

// list returns the events of some topics, or of all.
func (b *broker) list(topic []string) (out []agent.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.published {
		if len(topic) == 0 || slices.Contains(topic, p.Topic) {
			out = append(out, p)
		}
	}
	return out
}
