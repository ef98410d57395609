package pubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/calls"
)

// Options configures a [Communicator].
type Options struct {
	// Project keeps the subjects of projects apart that share a broker: letters, digits, - and _.
	Project string
	// MaxInFlight is how many calls of one agent run at once. Default 64.
	MaxInFlight int
	// Queue is how many calls of one agent wait for that; those beyond it are refused with
	// resource_exhausted. Default 1024.
	Queue int
	// MaxPayload is the limit in bytes of a call's input and of its result. Default, and at most:
	// the driver's.
	MaxPayload int
	// Logger gets what cannot be returned to a caller. Default: one that discards.
	Logger *slog.Logger
}

// Communicator is the [communicator.Communicator] of a broker. Communicators over one broker and
// project reach each other's agents; several may serve an agent of one name, and each call goes to
// one of them.
//
// A call is delivered at most once. Its error is unavailable with NotExecuted when nobody serves
// the agent, where the driver can tell; resource_exhausted when the callee's queue is full or the
// body is above the limit; outcome_unknown when the session was closed before the reply, or, over a
// [Remote] driver, when the connection was lost or the callee's heartbeats stopped.
type Communicator struct {
	driver   Driver
	o        Options
	subjects bus.Subjects
	pending  *pendingReplies
	workers  *workers
	inbox    string          // the subject for replies
	clock    *heartbeatClock // nil where no heartbeats are needed

	// Set by the first Serve or Dial, where the driver is a Requester, and where it is a Remote.
	publishRequest func(topic, token string, m *message.Message) error
	stopRequests   func() error
	stopLost       func()

	// ctx ends when Close has waited: it ends what still answers and publishes then.
	ctx    context.Context
	cancel context.CancelFunc
	// answering counts the questions of callees that are being answered.
	answering calls.Gate

	mu        sync.Mutex
	closed    bool
	stopInbox func() error // nil until the first Serve or Dial
	bound     map[string]*binding
	live      map[*binding]struct{} // bound, or closing and waiting for its calls
	peers     map[*peer]struct{}
}

var _ communicator.Communicator = (*Communicator)(nil)

// New returns a Communicator over the driver, which stays the caller's to close, later. It starts
// nothing. A project that is no name is an error.
func New(d Driver, o Options) (*Communicator, error) {
	s, err := bus.NewSubjects(o.Project)
	if err != nil {
		return nil, err
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if n := d.MaxPayload(); o.MaxPayload <= 0 || n > 0 && n < o.MaxPayload {
		o.MaxPayload = n
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Communicator{driver: d, o: o, subjects: s, pending: newPendingReplies(), workers: newWorkers(),
		bound: map[string]*binding{}, live: map[*binding]struct{}{}, peers: map[*peer]struct{}{}}
	c.inbox = s.Reply(c.pending.process)
	if _, ok := d.(Remote); ok {
		c.clock = newHeartbeatClock(c)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// start subscribes to the replies, once. c.mu is held.
func (c *Communicator) start() error {
	if c.closed {
		return agent.Refusedf(agent.CodeUnavailable, "the communicator is closed")
	}
	if c.stopInbox != nil {
		return nil
	}
	stop, err := bus.Receive(c.driver, "", c.inbox, c.receive)
	if err != nil {
		return agent.Refusedf(agent.CodeUnavailable, "listen for replies: %w", err)
	}
	if r, ok := c.driver.(Requester); ok {
		if c.publishRequest, c.stopRequests, err = r.Requests(c.noSubscribers); err != nil {
			return agent.Refusedf(agent.CodeUnavailable, "subscribe to reports of missing subscribers: %w",
				errors.Join(err, stop()))
		}
	}
	if r, ok := c.driver.(Remote); ok {
		c.stopLost = r.OnLost(c.connectionLost)
		go c.clock.run()
	}
	c.stopInbox = stop
	return nil
}

// receive takes what is sent to this process: replies and answers, notices and questions. It does
// not wait.
func (c *Communicator) receive(m *message.Message) {
	f, err := bus.Decode(m)
	if err != nil {
		if f.Ref == "" || f.Kind == bus.KindNotice || f.Kind == bus.KindAsk {
			c.o.Logger.Warn("a message cannot be read", "subject", c.inbox, "error", err)
			return
		}
		err.NotExecuted = false // the call was answered, though this process cannot read it
		c.pending.finish(f.Ref, reply{err: err}, c.clock.now())
		return
	}
	switch f.Kind {
	case bus.KindReply, bus.KindAnswer:
		c.pending.finish(f.Ref, reply{payload: f.Payload, body: f.Body}, c.clock.now())
	case bus.KindHeartbeat:
		c.receiveHeartbeat(&f)
	case bus.KindNotice:
		c.pending.notice(f.Ref, f.Payload)
	case bus.KindAsk:
		c.receiveAsk(&f)
	default: // of a later addition to this version
		c.o.Logger.Debug("a message of an unknown kind", "subject", c.inbox, "kind", f.Kind)
	}
}

// send publishes a frame about a call; its receiver may be gone. It waits for room until ctx ends.
// A payload of more than limit bytes is refused, unless limit is 0.
func (c *Communicator) send(ctx context.Context, subject string, f *bus.Frame, limit int) error {
	return c.publish(ctx, f, limit, func(m *message.Message) error { return c.driver.Publish(subject, m) })
}

// publish passes a frame's message to a function of the driver. The message is used again when that
// has returned.
func (c *Communicator) publish(ctx context.Context, f *bus.Frame, limit int, send func(*message.Message) error) error {
	m := messages.Get().(*message.Message)
	defer func() {
		if len(m.Metadata) <= maxPooled { // else the map has grown large
			clear(m.Metadata)
			m.UUID, m.Payload = "", nil
			m.SetContext(context.Background())
			messages.Put(m)
		}
	}()
	if refused := f.Fill(m, limit); refused != nil {
		return refused
	}
	m.SetContext(ctx)
	return send(m)
}

var messages = sync.Pool{New: func() any { return &message.Message{Metadata: message.Metadata{}} }}

// request is send of a frame that needs a subscriber. Where the driver is a Requester, the token
// names the frame when there was none.
func (c *Communicator) request(ctx context.Context, subject, token string, f *bus.Frame, limit int) error {
	if c.publishRequest == nil {
		return c.send(ctx, subject, f, limit)
	}
	return c.publish(ctx, f, limit, func(m *message.Message) error { return c.publishRequest(subject, token, m) })
}

// reply sends the result of a call or a question.
func (c *Communicator) reply(subject, kind, ref string, res *agent.Result, err error) {
	f := bus.ReplyFrame(kind, ref, res, err, c.o.MaxPayload)
	switch err := c.send(c.ctx, subject, &f, 0); {
	case errors.Is(err, ErrNoSubscribers):
		c.o.Logger.Debug("the caller is gone", "subject", subject, "ref", ref)
	case err != nil:
		c.o.Logger.Warn("an answer was not sent", "subject", subject, "ref", ref, "error", err)
	}
}

// Close ends every binding, waiting for the calls in flight as [communicator.Binding] says, then
// every session. The driver stays open.
func (c *Communicator) Close(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	bound, peers := c.bound, c.peers
	c.bound, c.peers = map[string]*binding{}, map[*peer]struct{}{}
	stop := c.stopInbox
	c.stopInbox = nil
	c.mu.Unlock()

	for _, b := range bound {
		b.gate.Shut()
	}
	var errs []error
	for _, b := range bound {
		errs = append(errs, b.Close(ctx))
	}
	for p := range peers {
		errs = append(errs, p.Close(ctx))
	}
	c.answering.Shut()
	errs = append(errs, c.answering.Wait(ctx))
	if first {
		errs = append(errs, c.workers.close(ctx))
	}
	c.cancel()
	if stop != nil {
		errs = append(errs, c.stopHeartbeats())
		if err := stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop listening for replies: %w", err))
		}
	}
	return errors.Join(errs...)
}
