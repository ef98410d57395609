package pubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/delivery"
	"github.com/openmas/openmas/internal/logs"
)

// EventsOptions configures [Events].
type EventsOptions struct {
	// Project as in [Options].
	Project string
	// Concurrency is how many events of one subscription are handled at once. Default 16.
	Concurrency int
	// Attempts is how often a failing handler is tried in all. Default 3. An error
	// invalid_argument, not_found or unimplemented is final.
	Attempts int
	// Backoff is the time before the second attempt, doubled with each, at most 10 s. Default 100
	// ms.
	Backoff time.Duration
	// PublishTimeout is how long Publish waits for room at a slow subscriber. Default 5 s.
	PublishTimeout time.Duration
	// OnDeadLetter gets the events that no attempt could handle, besides the log. It may be called
	// concurrently. Optional.
	OnDeadLetter func(DeadLetter)
	// Logger defaults to one that discards.
	Logger *slog.Logger
}

// A DeadLetter is an event that an agent could not handle in any of its attempts.
type DeadLetter struct {
	Agent    string
	Event    agent.Event
	Attempts int
	Err      error
}

// An EventHandler handles an event; attempt is 1 for the first delivery. It is called concurrently,
// except for events of one topic that have the same key.
type EventHandler func(ctx context.Context, p agent.Event, attempt int) error

// Events carries events to the agents that listen to their topics, on watermill's Router. Delivery
// is best effort: an event is acknowledged to the broker when its turn comes, and lost when this
// process ends before it was handled. Publish works before Run and without it. Events is safe for
// concurrent use.
type Events struct {
	driver   Driver
	o        EventsOptions
	subjects bus.Subjects
	router   *message.Router

	routing atomic.Bool // Run was called

	mu            sync.Mutex
	subscriptions map[*eventSubscription]struct{}
	added         int
	ran           chan struct{} // nil before Run, closed when the Router has ended
	runErr        error
	closed        bool
}

var _ agent.Publisher = (*Events)(nil)

// NewEvents returns a hub over the driver, which stays the caller's to close, later. It starts
// nothing.
func NewEvents(d Driver, o EventsOptions) (*Events, error) {
	s, err := bus.NewSubjects(o.Project)
	if err != nil {
		return nil, err
	}
	o.Concurrency = max(cmp.Or(o.Concurrency, delivery.DefaultConcurrency), 1)
	o.Attempts = max(cmp.Or(o.Attempts, delivery.DefaultAttempts), 1)
	o.Backoff = cmp.Or(o.Backoff, delivery.DefaultBackoff)
	o.PublishTimeout = cmp.Or(o.PublishTimeout, delivery.DefaultPublishTimeout)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	also := o.OnDeadLetter
	o.OnDeadLetter = func(d DeadLetter) {
		o.Logger.Error("an event was dead-lettered", "agent", d.Agent, "topic", d.Event.Topic, "event",
			d.Event.ID, "attempts", d.Attempts, "error", d.Err)
		if also != nil {
			also(d)
		}
	}
	quiet := watermill.NewSlogLogger(slog.New(logs.Quieter(o.Logger.Handler(), logs.LevelTrace)))
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: routerTimeout}, quiet)
	if err != nil {
		return nil, fmt.Errorf("make the event router: %w", err)
	}
	e := &Events{driver: d, o: o, subjects: s, router: router, subscriptions: map[*eventSubscription]struct{}{}}
	// A Router ends with its last handler: this one stays.
	router.AddConsumerHandler("idle", "idle", idle{}, func(*message.Message) error { return nil })
	return e, nil
}

// Publish implements [agent.Publisher]. A topic without subscribers is no error. A subscriber whose
// queue has no room for longer than PublishTimeout is resource_exhausted; others may have got the
// event.
func (e *Events) Publish(ctx context.Context, p agent.Event) error {
	if err := agent.CheckTopic(p.Topic); err != nil {
		return err
	}
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return agent.Errorf(agent.CodeUnavailable, "publish %s: the event hub is closed", p.Topic)
	}
	m, err := bus.EncodeEvent(p, e.driver.MaxPayload())
	if err != nil {
		return fmt.Errorf("publish %s: %w", p.Topic, err)
	}
	wait, cancel := context.WithTimeout(ctx, e.o.PublishTimeout)
	defer cancel()
	m.SetContext(wait)
	switch err := e.driver.Publish(e.subjects.Event(p.Topic), m); {
	case err == nil, errors.Is(err, ErrNoSubscribers):
		return nil
	case ctx.Err() != nil:
		return agent.Errorf(agent.CodeOf(ctx.Err()), "publish %s: %w", p.Topic, err)
	case wait.Err() != nil:
		return agent.Errorf(agent.CodeResourceExhausted, "publish %s: a subscriber is too slow: %w", p.Topic, err)
	default:
		return agent.Errorf(agent.CodeUnavailable, "publish %s: %w", p.Topic, err)
	}
}

// Subscribe calls fn with the events of a topic, as the agent that group names: of several
// subscriptions of one group, in all processes, one gets each event. Handling begins with Run;
// until then events wait in the driver's queue.
//
// stop ends the subscription and waits for the handlers, and for the events that the driver still
// delivers. When its context ends first, it cancels them and returns an error. Close does the same
// for all subscriptions.
func (e *Events) Subscribe(group, topic string, fn EventHandler) (stop func(context.Context) error, err error) {
	if err := errors.Join(agent.CheckAgentName(group), agent.CheckTopic(topic)); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, agent.Errorf(agent.CodeUnavailable, "%s subscribes to %s: the event hub is closed", group, topic)
	}
	s, err := newEventSubscription(e.driver, e.subjects.Event(topic), delivery.Options{
		Agent: group, Topic: topic, Concurrency: e.o.Concurrency, Attempts: e.o.Attempts, Backoff: e.o.Backoff,
		Logger: e.o.Logger, OnDeadLetter: func(p agent.Event, attempts int, err error) {
			e.o.OnDeadLetter(DeadLetter{Agent: group, Event: p, Attempts: attempts, Err: err})
		},
	}, delivery.Handler(fn), &e.routing)
	if err != nil {
		return nil, agent.Errorf(agent.CodeUnavailable, "%s subscribes to %s: %w", group, topic, err)
	}
	e.subscriptions[s] = struct{}{}
	e.added++
	e.router.AddConsumerHandler(fmt.Sprintf("%s/%s#%d", group, topic, e.added), topic, s, s.handle)
	if e.ran != nil {
		if err := e.router.RunHandlers(context.Background()); err != nil {
			delete(e.subscriptions, s)
			return nil, errors.Join(agent.Errorf(agent.CodeUnavailable, "%s subscribes to %s: %w", group, topic, err),
				s.end(context.Background()))
		}
	}
	return func(ctx context.Context) error {
		e.mu.Lock()
		delete(e.subscriptions, s)
		e.mu.Unlock()
		return s.end(ctx)
	}, nil
}

// Run handles events until ctx ends, then cancels the handlers that run; or until Close. It may be
// called once.
func (e *Events) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.closed || e.ran != nil {
		e.mu.Unlock()
		return errors.New("the event hub was run or closed before")
	}
	ran := make(chan struct{})
	e.ran = ran
	e.routing.Store(true)
	go func() {
		defer close(ran)
		e.runErr = e.router.Run(context.Background())
	}()
	select {
	case <-e.router.Running():
	case <-ran:
	}
	e.mu.Unlock()
	var err error
	select {
	case <-ran:
	case <-ctx.Done():
		err = e.Close(ctx)
		<-ran
	}
	return errors.Join(err, e.runErr)
}

// Close stops taking events, waits for the handlers that run, or cancels them and returns an error
// when ctx ends first, and ends Run. Safe to call twice and concurrently.
func (e *Events) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	all, ran := e.subscriptions, e.ran
	e.subscriptions = map[*eventSubscription]struct{}{}
	e.mu.Unlock()
	ends := make(chan error, len(all))
	for s := range all {
		go func() { ends <- s.end(ctx) }()
	}
	var errs []error
	for range all {
		errs = append(errs, <-ends)
	}
	if ran != nil {
		if err := e.router.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the event router: %w", err))
		}
	}
	return errors.Join(errs...)
}

// idle is a subscriber that never gets a message. It ends with its context and not with Close: the
// Router cancels the one and calls the other in no fixed order, and may leave the call out.
type idle struct{}

func (idle) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	ch := make(chan *message.Message)
	context.AfterFunc(ctx, func() { close(ch) })
	return ch, nil
}

func (idle) Close() error { return nil }
