package pubsub

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
)

// A link is a process's end of the broker: what it sends there, and who waits for what comes back.
type link struct {
	driver     Driver
	subjects   bus.Subjects
	inbox      string // the subject for replies
	pending    *pendingReplies
	clock      *heartbeatClock // nil where no heartbeats are needed
	maxPayload int
	log        *slog.Logger
	// ctx ends when Close has waited: it ends what still answers and publishes then.
	ctx context.Context
	// publishRequest is set by the first Serve or Dial, where the driver is a Requester.
	publishRequest func(topic, token string, m *message.Message) error
}

// send publishes a frame about a call; its receiver may be gone. It waits for room until ctx ends.
// A payload of more than limit bytes is refused, unless limit is 0.
func (l *link) send(ctx context.Context, subject string, f *bus.Frame, limit int) error {
	return l.publish(ctx, f, limit, func(m *message.Message) error { return l.driver.Publish(subject, m) })
}

// publish passes a frame's message to a function of the driver. The message is used again when that
// has returned.
func (l *link) publish(ctx context.Context, f *bus.Frame, limit int, send func(*message.Message) error) error {
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
func (l *link) request(ctx context.Context, subject, token string, f *bus.Frame, limit int) error {
	if l.publishRequest == nil {
		return l.send(ctx, subject, f, limit)
	}
	return l.publish(ctx, f, limit, func(m *message.Message) error { return l.publishRequest(subject, token, m) })
}

// reply sends the result of a call or a question.
func (l *link) reply(subject, kind, ref string, res *agent.Result, err error) {
	f := bus.ReplyFrame(kind, ref, res, err, l.maxPayload)
	switch err := l.send(l.ctx, subject, &f, 0); {
	case errors.Is(err, ErrNoSubscribers):
		l.log.Debug("the caller is gone", "subject", subject, "ref", ref)
	case err != nil:
		l.log.Warn("an answer was not sent", "subject", subject, "ref", ref, "error", err)
	}
}

// sendCancel cancels a call that this process does not wait for any more. It is best effort: the
// callee's own deadline ends the call as well.
func (l *link) sendCancel(name, ref string) {
	ctx, cancel := context.WithTimeout(l.ctx, cancelTimeout)
	defer cancel()
	f := bus.Frame{Kind: bus.KindCancel, Ref: ref}
	if err := l.send(ctx, l.subjects.Control(name), &f, 0); err != nil && !errors.Is(err, ErrNoSubscribers) {
		l.log.Debug("a cancellation was not sent", "agent", name, "error", err)
	}
}
