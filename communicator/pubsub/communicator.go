package pubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	// MaxInFlight is how many calls of one agent run at once, where it is not a
	// [communicator.Bounded]. A call below another one at the same agent does not count: it would
	// wait for its own end. Default 64.
	MaxInFlight int
	// Queue is how many calls of such an agent wait for that; those beyond it are refused with
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
	*link
	o       Options
	workers *workers[served]
	watcher *watcher

	// Set by the first Serve or Dial, where the driver is a Requester, and where it is a Remote.
	stopRequests func() error
	stopLost     func()

	cancel context.CancelFunc // of the link
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
	l := &link{driver: d, subjects: s, pending: newPendingReplies(), maxPayload: o.MaxPayload, log: o.Logger}
	l.inbox = s.Reply(l.pending.process)
	c := &Communicator{link: l, o: o, workers: newWorkers(func(s served) { s.b.work(s.a) }),
		bound: map[string]*binding{}, live: map[*binding]struct{}{}, peers: map[*peer]struct{}{}}
	c.watcher = &watcher{link: l, bindings: c.bindings}
	if _, ok := d.(Remote); ok {
		l.clock = newHeartbeatClock(c.watcher.onTick)
	}
	l.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Serve implements [communicator.Server]. Other processes may serve the same name; in this
// communicator it is an error.
func (c *Communicator) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	name := s.Info().Name
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, agent.AsError(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("serve %s: %w", name, err)
	}
	if _, dup := c.bound[name]; dup {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "serve %s: the name is taken", name)
	}
	b := &binding{link: c.link, name: name, s: s, workers: c.workers,
		bounds: func() communicator.Bounds { return c.boundsOf(s) }}
	b.calls = acceptedCalls{byRef: map[string]*acceptedCall{}}
	b.unbound = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.bound[name] == b {
			delete(c.bound, name)
		}
	}
	b.ended = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.live, b)
	}
	b.serving, b.cancel = context.WithCancel(context.Background())
	if err := b.subscribe(); err != nil {
		b.cancel()
		return nil, agent.Errorf(agent.CodeUnavailable, "serve %s: %w", name, err)
	}
	c.bound[name], c.live[b] = b, struct{}{}
	return b, nil
}

func (c *Communicator) boundsOf(s communicator.Service) communicator.Bounds {
	var b communicator.Bounds
	if own, ok := s.(communicator.Bounded); ok {
		b = own.Bounds()
	}
	return communicator.Bounds{MaxInFlight: cmp.Or(b.MaxInFlight, c.o.MaxInFlight),
		MaxQueue: cmp.Or(b.MaxQueue, c.o.Queue), Keys: cmp.Or(b.Keys, "pubsub.Options")}
}

// Queued is how many calls of an agent that is served here wait until one of those that run has
// ended: see Options.Queue.
func (c *Communicator) Queued(name string) int {
	c.mu.Lock()
	b := c.bound[name]
	c.mu.Unlock()
	if b == nil {
		return 0
	}
	b.calls.mu.Lock()
	defer b.calls.mu.Unlock()
	return b.calls.waiting.Len()
}

// Dial implements [communicator.Dialer]. It asks the agent what it offers; that is what
// [communicator.Peer] Info returns until its Refresh(ctx) asks anew. An agent that nobody serves is
// unavailable, at once where the driver can tell, else when ctx ends (10 s without a deadline).
func (c *Communicator) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	p := &peer{link: c.link, session: session{agent: name}, subject: c.subjects.Call(name), done: make(chan struct{})}
	p.left = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.peers, p)
	}
	c.mu.Lock()
	err := c.start()
	if err == nil {
		c.peers[p] = struct{}{}
	}
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", name, err)
	}
	if err := p.Refresh(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("dial %s: %w", name, err), p.Close(ctx))
	}
	return p, nil
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
		if c.publishRequest, c.stopRequests, err = r.Requests(c.watcher.noSubscribers); err != nil {
			return agent.Refusedf(agent.CodeUnavailable, "subscribe to reports of missing subscribers: %w",
				errors.Join(err, stop()))
		}
	}
	if r, ok := c.driver.(Remote); ok {
		c.stopLost = r.OnLost(c.watcher.connectionLost)
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
			c.log.Warn("a message cannot be read", "subject", c.inbox, "error", err)
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
		c.watcher.receive(&f)
	case bus.KindNotice:
		c.pending.notice(f.Ref, f.Payload)
	case bus.KindAsk:
		c.receiveAsk(&f)
	default: // of a later addition to this version
		c.log.Debug("a message of an unknown kind", "subject", c.inbox, "kind", f.Kind)
	}
}

// receiveAsk has the caller answer a question, in a goroutine that Close waits for.
func (c *Communicator) receiveAsk(f *bus.Frame) {
	if !c.subjects.IsReply(f.ReplyTo) || f.Ask == "" {
		c.log.Warn("a question that cannot be answered", "reply-to", f.ReplyTo)
		return
	}
	ctx, back, done, refused := c.pending.ask(f.Ref)
	if refused != nil {
		c.reply(f.ReplyTo, bus.KindAnswer, f.Ask, nil, refused)
		return
	}
	if !c.answering.Enter() {
		done()
		return
	}
	go func() {
		defer c.answering.Leave()
		defer done()
		res, err := answer(ctx, back, f.Payload)
		c.reply(f.ReplyTo, bus.KindAnswer, f.Ask, res, err)
	}()
}

// bindings are those that have calls, or may get some.
func (c *Communicator) bindings() []*binding {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.live))
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

// stopHeartbeats ends what start began besides the inbox.
func (c *Communicator) stopHeartbeats() error {
	if c.clock != nil {
		close(c.clock.stop)
		<-c.clock.done
		c.stopLost()
	}
	if c.stopRequests != nil {
		return c.stopRequests()
	}
	return nil
}
