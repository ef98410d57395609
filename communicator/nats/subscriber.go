package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/bus"
)

// A subscriber has any number of subscriptions of one queue group.
type subscriber struct {
	d      *Driver
	group  string
	mu     sync.Mutex
	closed bool
	ends   map[int]func() error // each ends a subscription and waits for it
	last   int
}

// Subscriber implements [pubsub.Driver]. What it returns is a [pubsub.Receiver]. Groups are queue
// groups.
func (d *Driver) Subscriber(group string) (message.Subscriber, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, pubsub.ErrClosed
	}
	s := &subscriber{d: d, group: group, ends: map[int]func() error{}}
	d.subs[s] = struct{}{}
	return s, nil
}

// Receive implements [pubsub.Receiver]: fn runs in the goroutine of the subscription. stop returns
// after fn got every message that this process has received by then.
func (s *subscriber) Receive(topic string, fn func(*message.Message)) (func() error, error) {
	if err := checkSubject(topic); err != nil {
		return nil, err
	}
	return s.add(func() (func() error, error) {
		return s.d.receive(topic, s.group, func(m *natsgo.Msg) {
			in := incomings.Get().(*incoming)
			in.fill(m)
			fn(&in.m)
			in.free()
		})
	})
}

// Subscribe implements watermill's Subscriber. The next message comes when the one before was
// acknowledged or dead-lettered.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := checkSubject(topic); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	in, done := &redelivery{d: s.d, topic: topic, ctx: ctx, out: make(chan *message.Message)}, make(chan struct{})
	end, err := s.add(func() (func() error, error) {
		unsubscribe, err := s.d.subscribe(topic, s.group, in.deliver, func() { close(in.out); close(done) })
		return func() error {
			cancel()
			err := unsubscribe()
			<-done
			return err
		}, err
	})
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		if err := end(); err != nil {
			s.d.o.Logger.Warn("a subscription did not end well", "topic", topic, "error", err)
		}
	})
	return in.out, nil
}

// add makes a subscription, which Close ends, and returns what ends it before.
func (s *subscriber) add(subscribe func() (func() error, error)) (func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the subscriber is closed")
	}
	end, err := subscribe()
	if err != nil {
		return nil, err
	}
	s.last++
	id := s.last
	end = sync.OnceValue(end)
	s.ends[id] = end
	return func() error {
		err := end()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.ends, id)
		return err
	}, nil
}

// Close implements watermill's Subscriber.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	ends := s.ends
	s.ends = map[int]func() error{}
	s.mu.Unlock()
	var errs []error
	for _, end := range ends {
		errs = append(errs, end())
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	delete(s.d.subs, s)
	return errors.Join(errs...)
}

// subscribe calls fn with one message after the other, and ended when it will not be called again.
// end drops the messages that wait.
func (d *Driver) subscribe(subject, group string, fn func(*natsgo.Msg), ended func()) (end func() error, err error) {
	sub, err := d.listen(subject, group, fn, ended)
	if err != nil {
		return nil, err
	}
	return func() error {
		if n, _, err := sub.Pending(); err == nil && n > 1 {
			d.o.Logger.Warn("messages are lost with their subscription", "subject", subject, "messages", n-1)
		}
		return unsubscribe(sub)
	}, nil
}

// receive is subscribe whose end returns after fn got the messages that wait. fn must not wait.
func (d *Driver) receive(subject, group string, fn func(*natsgo.Msg)) (end func() error, err error) {
	done := make(chan struct{})
	sub, err := d.listen(subject, group, fn, func() { close(done) })
	if err != nil {
		return nil, err
	}
	return func() error {
		if d.nc.IsConnected() && sub.Drain() == nil {
			select {
			case <-done:
				return nil
			case <-time.After(flushTimeout):
			}
		}
		if err := unsubscribe(sub); err != nil {
			return err
		}
		<-done
		return nil
	}, nil
}

func (d *Driver) listen(subject, group string, fn func(*natsgo.Msg), ended func()) (*natsgo.Subscription, error) {
	sub, err := d.nc.QueueSubscribe(subject, group, fn)
	if err != nil {
		return nil, err
	}
	once := sync.OnceFunc(ended)
	if sub.SetClosedHandler(func(string) { once() }); d.nc.IsClosed() {
		once() // it may have ended before it could tell
	}
	err = sub.SetPendingLimits(d.o.Queue, d.o.QueueBytes)
	if err == nil {
		err = d.subscribed(context.Background())
	}
	if err != nil {
		return nil, errors.Join(err, unsubscribe(sub))
	}
	return sub, nil
}

func unsubscribe(sub *natsgo.Subscription) error {
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, natsgo.ErrConnectionClosed) &&
		!errors.Is(err, natsgo.ErrBadSubscription) {
		return fmt.Errorf("unsubscribe from %s: %w", sub.Subject, err)
	}
	return nil
}

// A redelivery sends messages to a channel, each until it is acknowledged or dead-lettered:
//
//	sent -> acknowledged: the next one
//	     -> nacked: sent again after a wait, or dead-lettered after the last redelivery
//	     -> the subscription ends: dead-lettered
type redelivery struct {
	d     *Driver
	topic string
	ctx   context.Context
	out   chan *message.Message
}

func (h *redelivery) deliver(raw *natsgo.Msg) {
	waits := backoff.Policy{Initial: h.d.o.Backoff, Multiplier: 2, Max: maxBackoff}
	for try := 1; ; try++ {
		m := received(raw.Header, raw.Data)
		err := bus.Deliver(h.ctx, m, h.out)
		switch {
		case err == nil:
			return
		case errors.Is(err, bus.ErrNacked) && try <= h.d.o.Redeliver && backoff.Sleep(h.ctx, waits.Wait(try)) == nil:
			continue
		case errors.Is(err, bus.ErrNotTaken):
			err = bus.ErrEnded
		}
		h.d.o.OnDeadLetter(h.topic, m, err)
		return
	}
}
