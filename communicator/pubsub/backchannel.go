package pubsub

import (
	"context"
	"encoding/json"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
)

// backChannel is the back-channel of a call that came over the broker. It sends notices and
// questions to the caller's process, which sends its answers to this one.
type backChannel struct {
	b *binding
	a *acceptedCall
}

// Notify implements [agent.BackChannel].
func (r *backChannel) Notify(ctx context.Context, n agent.Notice) {
	payload, err := json.Marshal(n)
	if err == nil {
		err = r.b.c.send(ctx, r.a.replyTo, &bus.Frame{Kind: bus.KindNotice, Ref: r.a.ref, Payload: payload},
			r.b.c.o.MaxPayload)
	}
	if err != nil {
		r.b.c.o.Logger.Debug("a notice was not sent", "call", r.a.call.ID, "error", err)
	}
}

// Request implements [agent.BackChannel].
func (r *backChannel) Request(ctx context.Context, q agent.Request) (json.RawMessage, error) {
	payload, err := json.Marshal(q)
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "encode a %s request: %w", q.Kind, err)
	}
	c := r.b.c
	w := c.pending.add(ctx, nil, liveness{})
	defer c.pending.remove(w)
	f := bus.Frame{Kind: bus.KindAsk, Ref: r.a.ref, Ask: c.pending.ref(w), ReplyTo: c.inbox, Payload: payload}
	if err := c.send(ctx, r.a.replyTo, &f, c.o.MaxPayload); err != nil {
		return nil, agent.Errorf(agent.CodeUnavailable, "ask the caller (%s): %w", q.Kind, err)
	}
	select {
	case a := <-w.reply:
		if a.err != nil {
			return nil, a.err
		}
		res, err := bus.ReadResult(a.payload, a.body)
		if err != nil {
			return nil, err
		}
		return res.Structured, nil
	case <-ctx.Done():
		return nil, agent.AsError(ctx.Err())
	}
}

// receiveAsk has the caller answer a question, in a goroutine that Close waits for.
func (c *Communicator) receiveAsk(f *bus.Frame) {
	if !c.subjects.IsReply(f.ReplyTo) || f.Ask == "" {
		c.o.Logger.Warn("a question that cannot be answered", "reply-to", f.ReplyTo)
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

func answer(ctx context.Context, back agent.BackChannel, payload []byte) (res *agent.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = agent.Errorf(agent.CodeInternal, "the caller's answer panicked: %v", p)
		}
	}()
	var q agent.Request
	if err := json.Unmarshal(payload, &q); err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "a malformed question: %w", err)
	}
	raw, err := back.Request(ctx, q)
	if err != nil {
		return nil, err
	}
	return &agent.Result{Structured: raw}, nil
}

func notify(ctx context.Context, back agent.BackChannel, payload []byte) {
	var n agent.Notice
	if json.Unmarshal(payload, &n) == nil {
		back.Notify(ctx, n)
	}
}
