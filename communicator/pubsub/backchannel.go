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
	*link
	a *acceptedCall
}

// Notify implements [agent.BackChannel].
func (r *backChannel) Notify(ctx context.Context, n agent.Notice) {
	payload, err := bus.Marshal(n)
	if err == nil {
		err = r.send(ctx, r.a.replyTo, &bus.Frame{Kind: bus.KindNotice, Ref: r.a.ref, Payload: payload},
			r.maxPayload)
	}
	if err != nil {
		r.log.Debug("a notice was not sent", "call", r.a.call.ID, "error", err)
	}
}

// Request implements [agent.BackChannel].
func (r *backChannel) Request(ctx context.Context, q agent.Request) (json.RawMessage, error) {
	payload, err := bus.Marshal(q)
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "encode a %s request: %w", q.Kind, err)
	}
	w := r.pending.add(ctx, nil, liveness{})
	defer r.pending.remove(w)
	f := bus.Frame{Kind: bus.KindAsk, Ref: r.a.ref, Ask: r.pending.ref(w), ReplyTo: r.inbox, Payload: payload}
	if err := r.send(ctx, r.a.replyTo, &f, r.maxPayload); err != nil {
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
