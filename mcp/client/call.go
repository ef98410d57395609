package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// Call makes one call. It returns at the end of ctx at the latest, whatever the server does; the
// server is told then. See [communicator.Peer] for the errors.
func (s *Session) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if !s.gate.Enter() {
		if err := s.Err(); err != nil {
			return nil, err
		}
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: %w", c.Target(), endedError{errEnding})
	}
	defer s.gate.Leave()
	if err := ctx.Err(); err != nil {
		return nil, agent.Refusedf(agent.CodeOf(err), "%s: %w before it was sent", c.Target(), err)
	}
	if len(c.Input) > s.limit {
		return nil, agent.Refusedf(agent.CodeResourceExhausted, "%s: the input has %d bytes, over the limit of %d",
			c.Target(), len(c.Input), s.limit)
	}
	if len(c.Input) > 0 && (!json.Valid(c.Input) || !utf8.Valid(c.Input)) {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: the input is no JSON in UTF-8", c.Target())
	}
	if s.target.Trusted && c.Back != nil && c.ID == "" { // our own servers ask by its id
		named := *c
		named.ID, c = rand.Text(), &named
	}
	sent := calls.SentBy(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := s.backs.add(ctx, c)
	defer s.backs.close(ctx, f)
	ctx, note := withNote(ctx)
	if sent != nil {
		note.Time()
	}
	defer s.calls.remove(s.calls.add(ctx, cancel, note, c))
	if s.link.http != nil && !s.target.Trusted { // our own read `_meta`
		note.traces = wire.TraceHeaders(c.Meta, s.target.Baggage)
	}
	out := request{Call: c, note: note}
	if f != nil {
		out.token = f.token
	}
	res, err := s.callInRounds(ctx, out)
	if sent != nil {
		s.describe(sent, note)
	}
	if why := note.failed.Load(); why != nil && err != nil {
		err = *why
	}
	if err == nil || note.rpc.Load() != nil {
		s.life.hear()
	}
	if err != nil {
		if lost := s.forgotten(ctx, c, note, err); lost != nil {
			return nil, lost
		}
		return nil, s.failure(ctx, c, note, err)
	}
	return res, nil
}

// handOver is what a request may wait for its writer without that being told: less is the time in
// which one goroutine wakes the other.
const handOver = time.Millisecond

// describe tells what the call that n is about was sent as.
func (s *Session) describe(r *calls.Request, n *note) {
	r.Version = s.ProtocolVersion()
	r.SetSession(s.sdk.ID())
	if id := n.RequestID.Load(); id != 0 {
		r.ID = strconv.FormatInt(id, 10)
	}
	if rpc := n.rpc.Load(); rpc != nil {
		r.Code = int(rpc.Code)
	}
	if u := s.link.endpoint; u != nil {
		r.Peer = u.Host
	}
	if waited := n.Waited(); waited >= handOver {
		r.Queued += waited
	}
}
