package nats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/communicator/pubsub"
)

// Driver is a [pubsub.Driver] on core NATS: a message reaches the subscriptions that there are when
// it is published, and is not stored. It is a [pubsub.Requester] and a [pubsub.Remote] too. It is
// safe for concurrent use.
//
// Publish returns when the message is in the connection's buffer, which is flushed at once. While
// the connection is lost, Publish returns [pubsub.ErrNotSent]: nothing is buffered to be sent
// later.
type Driver struct {
	o        Options
	nc       *natsgo.Conn
	embedded *embedded    // nil with external servers
	hurried  atomic.Int64 // when hurry last did something, in Unix nanoseconds

	mu     sync.Mutex
	closed bool
	subs   map[io.Closer]struct{} // the subscribers
	lost   map[int]func(error)
	last   int
}

var (
	_ pubsub.Driver    = (*Driver)(nil)
	_ pubsub.Remote    = (*Driver)(nil)
	_ pubsub.Requester = (*Driver)(nil)
)

// MaxPayload implements [pubsub.Driver]: what the server allows, less the room for metadata.
func (d *Driver) MaxPayload() int {
	return max(int(d.nc.MaxPayload())-headroom, 1)
}

// URL is the server it is connected to now, without credentials; empty while there is none.
func (d *Driver) URL() string {
	if d.embedded != nil {
		return d.embedded.where()
	}
	return d.nc.ConnectedUrlRedacted()
}

// Owner reports whether the embedded broker runs in this process.
func (d *Driver) Owner() bool { return d.embedded != nil && d.embedded.owner() }

// Publish implements [pubsub.Driver].
func (d *Driver) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		if err := d.publish(topic, "", m); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) publish(topic, reply string, m *message.Message) error {
	if err := checkSubject(topic); err != nil {
		return fmt.Errorf("publish: %w: %w", err, pubsub.ErrNotSent)
	}
	o := outgoings.Get().(*outgoing)
	defer o.free()
	o.fill(m)
	o.msg = natsgo.Msg{Subject: topic, Reply: reply, Header: o.header, Data: m.Payload}
	err := d.nc.PublishMsg(&o.msg)
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(err, natsgo.ErrReconnectBufExceeded):
		d.hurry()
		return fmt.Errorf("publish to %s: the connection to the broker is lost: %w", topic, pubsub.ErrNotSent)
	case errors.Is(err, natsgo.ErrConnectionClosed), errors.Is(err, natsgo.ErrConnectionDraining):
		return fmt.Errorf("publish to %s: %w", topic, pubsub.ErrClosed)
	case errors.Is(err, natsgo.ErrMaxPayload), errors.Is(err, natsgo.ErrBadHeaderMsg),
		errors.Is(err, natsgo.ErrHeadersNotSupported), errors.Is(err, natsgo.ErrBadSubject):
		return fmt.Errorf("publish to %s: %w: %w", topic, err, pubsub.ErrNotSent)
	}
	return fmt.Errorf("publish to %s: %w", topic, err) // of the socket: perhaps it was sent
}

func checkSubject(s string) error {
	if s == "" || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") ||
		strings.ContainsAny(s, "*> \t\r\n") {
		return fmt.Errorf("%q is no NATS subject: words with single dots between them, without spaces, * and >", s)
	}
	return nil
}

// OnLost implements [pubsub.Remote].
func (d *Driver) OnLost(fn func(error)) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	id := d.last
	d.lost[id] = fn
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.lost, id)
	}
}

func (d *Driver) disconnected(_ *natsgo.Conn, err error) {
	d.mu.Lock()
	closed, fns := d.closed, slices.Collect(maps.Values(d.lost))
	d.mu.Unlock()
	if closed {
		return
	}
	if err == nil {
		err = errors.New("it was closed")
	}
	err = d.o.redact(err)
	d.o.Logger.Warn("the connection to the broker was lost", "broker", d.where(), "error", err)
	for _, fn := range fns {
		fn(err)
	}
}

// hurry has the broker tried now, and not when the wait is over: something is to be sent, and fails
// until then. That the connection comes back at this very moment, and is made once more, costs no
// more than any loss of it.
func (d *Driver) hurry() {
	last, now := d.hurried.Load(), time.Now().UnixNano()
	if now-last < int64(wantedWait) || !d.hurried.CompareAndSwap(last, now) || !d.nc.IsReconnecting() {
		return
	}
	_ = d.nc.ForceReconnect() // fails only when it was closed
}

func (d *Driver) reconnected(*natsgo.Conn) {
	d.o.Logger.Info("the connection to the broker is back", "broker", d.where(), "url", d.URL())
}

// failed logs the errors that no call of the library returns: messages that were dropped, subjects
// that are not allowed.
func (d *Driver) failed(_ *natsgo.Conn, s *natsgo.Subscription, err error) {
	err = d.o.redact(err)
	if s == nil {
		d.o.Logger.Warn("the broker reports an error", "broker", d.where(), "error", err)
		return
	}
	lost, _ := s.Dropped()
	d.o.Logger.Warn("a subscription fails", "subject", s.Subject, "lost messages", lost, "error", err)
}

// Close ends every subscription and flushes the connection. When this process runs the embedded
// broker, it stops it: another process of the project takes over.
func (d *Driver) Close() error {
	d.mu.Lock()
	first := !d.closed
	d.closed = true
	subs := d.subs
	d.subs = map[io.Closer]struct{}{}
	d.mu.Unlock()
	if !first {
		return nil
	}
	var errs []error
	for s := range subs {
		errs = append(errs, s.Close())
	}
	if d.nc.IsConnected() {
		if err := d.nc.FlushTimeout(flushTimeout); err != nil && d.nc.IsConnected() {
			errs = append(errs, fmt.Errorf("flush the connection to the broker: %w", err))
		}
	}
	if !d.nc.IsClosed() {
		closed := make(chan struct{})
		d.nc.SetClosedHandler(func(*natsgo.Conn) { close(closed) })
		d.nc.Close()
		select {
		case <-closed:
		case <-time.After(flushTimeout): // it was closed by another in between
		}
	}
	if d.embedded != nil {
		errs = append(errs, d.embedded.close())
	}
	return errors.Join(errs...)
}

// subscribed returns when the server knows of a new subscription; while there is no connection,
// that is when it is back.
func (d *Driver) subscribed(ctx context.Context) error {
	if !d.nc.IsConnected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := d.nc.FlushWithContext(ctx); err != nil && d.nc.IsConnected() {
		return err
	}
	return nil
}

// where says for people which broker it is.
func (d *Driver) where() string {
	if d.embedded != nil {
		return "embedded in this project (" + d.embedded.dir + ")"
	}
	return d.o.redactedURLs()
}
