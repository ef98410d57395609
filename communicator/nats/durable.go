package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/bus"
)

// DurableOptions configures [Durable]. The zero value is all defaults.
type DurableOptions struct {
	// Concurrency is how many events of one subscription are handled at once. Default 16.
	Concurrency int
	// InOrder hands an agent the events of a topic one after the other, as they were published,
	// whichever process gets them, and a failed one again before its successors. It makes
	// Concurrency 1.
	InOrder bool
	// Attempts is how often a failing handler is tried before the event is dead-lettered. Default
	// 5. An error invalid_argument, not_found or unimplemented is final.
	Attempts int
	// Backoff is the time before the second attempt, doubled with each, at most a minute. Default 1
	// s.
	Backoff time.Duration
	// AckWait is how long a process may be silent before the events in its hands are redelivered
	// to another. Default 30 s.
	AckWait time.Duration
	// MaxAge is how long events are stored, handled or not. Default 24 h; for dead letters 30 days.
	MaxAge time.Duration
	// MaxBytes is how much is stored; beyond it, Publish fails. Default 1 GiB, and as much for dead
	// letters, of which the oldest are deleted then.
	MaxBytes int64
	// Replicas is on how many servers of a cluster events are stored. Default 3 in a cluster, else
	// 1.
	Replicas int
	// OnDeadLetter gets every event that is dead-lettered, besides the log. It may be called
	// concurrently. Optional.
	OnDeadLetter func(DeadLetter)
}

// WithDefaults returns o with a default in each place that is empty, but for Replicas and
// OnDeadLetter, which depend on the driver.
func (o DurableOptions) WithDefaults() DurableOptions {
	o.Concurrency, o.Attempts = max(cmp.Or(o.Concurrency, defaultConcurrency), 1),
		max(cmp.Or(o.Attempts, defaultDurableAttempts), 1)
	o.Backoff, o.AckWait = cmp.Or(o.Backoff, defaultDurableBackoff), cmp.Or(o.AckWait, defaultAckWait)
	o.MaxAge, o.MaxBytes = cmp.Or(o.MaxAge, defaultMaxAge), cmp.Or(o.MaxBytes, defaultMaxBytes)
	if o.InOrder {
		o.Concurrency = 1
	}
	return o
}

// Durable carries events that JetStream stores until they are handled: at least once by each agent
// that subscribes to their topic. An event is stored when Publish has returned. An agent that
// subscribes for the first time gets the events that are still stored. Durable is safe for
// concurrent use.
//
// An acknowledged event survives the end of any process. It survives the end of the machine only
// with replicas on others, or with [Options.SyncAlways].
type Durable struct {
	d  *Driver
	o  DurableOptions
	js jetstream.JetStream

	eventStream, deadStream               string // names
	eventPrefix, replayPrefix, deadPrefix string // prefixes of subjects
	streams                               []jetstream.StreamConfig

	mu     sync.Mutex
	closed bool
	subs   map[subscription]struct{}
}

// A subscription is a [durableSubscription], as the Durable has to know it.
type subscription interface {
	// takeNoMore returns at once.
	takeNoMore()
	// end waits for the handlers, at most until ctx ends.
	end(ctx context.Context) error
}

var _ agent.Publisher = (*Durable)(nil)

// Durable prepares durable events. It makes the streams where they are not there yet.
func (d *Driver) Durable(ctx context.Context, o DurableOptions) (*Durable, error) {
	o = o.WithDefaults()
	if o.Replicas == 0 {
		o.Replicas = 1
		if d.nc.ConnectedClusterName() != "" {
			o.Replicas = clusterReplicas
		}
	}
	also := o.OnDeadLetter
	o.OnDeadLetter = func(dead DeadLetter) {
		d.o.Logger.Error("a durable event was dead-lettered", "agent", dead.Agent, "topic", dead.Event.Topic, "event",
			dead.Event.ID, "attempts", dead.Attempts, "error", dead.Reason)
		if also != nil {
			also(dead)
		}
	}
	js, err := jetstream.New(d.nc)
	if err != nil {
		return nil, fmt.Errorf("durable events: %w", err)
	}
	v := &Durable{d: d, o: o, js: js, eventStream: "om-" + d.o.Project + "-events", deadStream: "om-" + d.o.Project +
		"-dead",
		subs: map[subscription]struct{}{}}
	for class, s := range map[string]*string{"durable.": &v.eventPrefix, "replay.": &v.replayPrefix,
		"dead.": &v.deadPrefix} {
		if *s, err = bus.Subject(d.o.Project, class); err != nil {
			return nil, err
		}
	}
	v.streams = []jetstream.StreamConfig{
		{Name: v.eventStream, Subjects: []string{v.eventPrefix + ">", v.replayPrefix + ">"}, MaxAge: o.MaxAge,
			MaxBytes: o.MaxBytes,
			Discard:  jetstream.DiscardNew, Replicas: o.Replicas},
		{Name: v.deadStream, Subjects: []string{v.deadPrefix + ">"}, MaxAge: max(minDeadAge, o.MaxAge),
			MaxBytes: o.MaxBytes,
			Replicas: o.Replicas},
	}
	if err := v.makeStreams(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// makeStreams makes the streams that are not there: at first, or because the store of the embedded
// broker was removed.
func (v *Durable) makeStreams(ctx context.Context) error {
	for _, c := range v.streams {
		if err := v.stream(ctx, c); err != nil {
			err = fmt.Errorf("durable events: make the stream %s: %w", c.Name, v.d.o.redact(err))
			return v.noRoom(err)
		}
	}
	return nil
}

// noRoom says what to do where the broker has no room for a stream: it reserves the whole of it.
func (v *Durable) noRoom(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != noStorage {
		return err
	}
	room := "free some of its disk, or raise max_file_store of its JetStream"
	if v.d.embedded != nil {
		room = "free some of the disk of " + v.d.embedded.dir + ", or have the key state name a folder on another one"
	}
	return fmt.Errorf("%w: the broker reserves %.3g GiB for events and as much for dead letters, of three quarters "+
		"of what is free when it starts: %s", err, float64(v.o.MaxBytes)/(1<<30), room)
}

// noStorage is JetStream's code for a disk that is too small for what is reserved.
const noStorage = 10047

// stream makes a stream, or changes one that is not as wanted. A cluster that has just started
// needs a while until it can.
func (v *Durable) stream(ctx context.Context, c jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for waits := backoff.New(streamWaits); ; {
		try, stop := context.WithTimeout(ctx, streamTimeout)
		err := v.makeStream(try, c)
		stop()
		var api *jetstream.APIError
		if err == nil || errors.As(err, &api) && api.Code != 503 {
			return err
		}
		if end := waits.Wait(ctx); end != nil {
			return errors.Join(err, end)
		}
	}
}

// makeStream changes nothing where the stream is as wanted: each process of a project calls it.
func (v *Durable) makeStream(ctx context.Context, c jetstream.StreamConfig) error {
	if s, err := v.js.Stream(ctx, c.Name); err == nil {
		if is := s.CachedInfo().Config; slices.Equal(is.Subjects, c.Subjects) && is.MaxAge == c.MaxAge &&
			is.MaxBytes == c.MaxBytes && is.Discard == c.Discard && is.Replicas == c.Replicas {
			return nil
		}
	}
	_, err := v.js.CreateOrUpdateStream(ctx, c)
	return err
}

// Publish implements [agent.Publisher]. On an error other than unavailable with NotExecuted the
// event may have been stored. Publishing it again with its ID within two minutes does not double
// it.
func (v *Durable) Publish(ctx context.Context, p agent.Event) error {
	if err := agent.CheckTopic(p.Topic); err != nil {
		return err
	}
	m, err := bus.EncodeEvent(p, v.d.MaxPayload())
	if err != nil {
		return fmt.Errorf("publish %s: %w", p.Topic, err)
	}
	switch err := v.store(ctx, v.eventPrefix+p.Topic, p.Topic+"/"+m.Metadata["id"], m); {
	case err == nil:
		return nil
	case errors.Is(err, pubsub.ErrNotSent):
		return agent.Refusedf(agent.CodeUnavailable, "publish %s: %w", p.Topic, err)
	case ctx.Err() != nil:
		return agent.Errorf(agent.CodeOf(ctx.Err()), "publish %s: %w", p.Topic, err)
	default:
		return agent.Errorf(agent.CodeOutcomeUnknown, "publish %s: %w", p.Topic, err)
	}
}

// store publishes a message and waits until it is stored, at most 5 s without a deadline.
func (v *Durable) store(ctx context.Context, subject, id string, m *message.Message) error {
	if err := checkSubject(subject); err != nil {
		return fmt.Errorf("%w: %w", err, pubsub.ErrNotSent)
	}
	return v.storeMsg(ctx, &natsgo.Msg{Subject: subject, Header: header(m), Data: m.Payload}, id)
}

func (v *Durable) storeMsg(ctx context.Context, m *natsgo.Msg, id string) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flushTimeout)
		defer cancel()
	}
	_, err := v.js.PublishMsg(ctx, m, jetstream.WithMsgID(id))
	if errors.Is(err, jetstream.ErrNoStreamResponse) && v.d.embedded != nil && v.makeStreams(ctx) == nil {
		_, err = v.js.PublishMsg(ctx, m, jetstream.WithMsgID(id))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, natsgo.ErrReconnectBufExceeded):
		v.d.hurry()
		return fmt.Errorf("%w: %w", v.d.o.redact(err), pubsub.ErrNotSent)
	case errors.Is(err, natsgo.ErrConnectionClosed),
		errors.Is(err, natsgo.ErrMaxPayload),
		errors.Is(err, natsgo.ErrBadHeaderMsg), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("%w: %w", v.d.o.redact(err), pubsub.ErrNotSent)
	}
	return v.d.o.redact(err)
}

// waits are those between the attempts at an event.
func (v *Durable) waits() backoff.Policy {
	return backoff.Policy{Initial: v.o.Backoff, Multiplier: 2, Max: max(maxDurableBackoff, v.o.Backoff)}
}

// Close ends every subscription, as its stop does. The driver stays open.
func (v *Durable) Close(ctx context.Context) error {
	v.mu.Lock()
	v.closed = true
	subs := make([]subscription, 0, len(v.subs))
	for s := range v.subs {
		subs = append(subs, s)
	}
	v.mu.Unlock()
	for _, s := range subs {
		s.takeNoMore()
	}
	var errs []error
	for _, s := range subs {
		errs = append(errs, s.end(ctx))
	}
	return errors.Join(errs...)
}
