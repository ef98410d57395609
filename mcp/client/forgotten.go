package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// Servers that have forgotten a session, after a restart for example, answer its requests with 404,
// as the protocol has it, or with 400, 401, or 200 and an error. What is not 404 may as well be
// about the call alone: a ping, which can do nothing wrong, tells.

// forgotten ends the session if the answer to a call means that the server does not know it any
// more, and returns the error of a call that certainly did not run; nil: the call has an answer of
// its own.
func (s *Session) forgotten(ctx context.Context, c *agent.Call, n *note, err error) *agent.Error {
	ended := s.ctx.Err() != nil // and the call with it
	if !s.hasSession() || ctx.Err() != nil && !(ended && errors.Is(context.Cause(ctx), context.Cause(s.ctx))) {
		return nil
	}
	var rpc *jsonrpc.Error
	if rpc = n.rpc.Load(); rpc == nil && errors.As(err, &rpc) && isLocal(err) {
		rpc = nil
	}
	status := n.HTTPError()
	switch missing := errors.Is(err, sdk.ErrSessionMissing); {
	case missing && status == nil: // the call was taken, and what was to follow is gone
		s.forget("404 Not Found")
		return nil
	case missing, s.target.Transport == mcp.SSE && status != nil && wire.EndsSession(status.Status):
		return s.refusedForGood(c, status, n)
	case status != nil && saysForgotten(status.Status):
		if s.lost(ctx).refused && s.mayEnd(ctx) {
			return s.refusedForGood(c, status, n)
		}
	case status == nil && rpc != nil && rpc.Code != jsonrpc.CodeMethodNotFound:
		sign := s.lost(ctx)
		if !sign.refused || !s.mayEnd(ctx) {
			return nil
		}
		s.forget(fmt.Sprintf("error %d: %s", rpc.Code, rpc.Message))
		if sign.rpc != nil && sign.rpc.Code == rpc.Code && sign.rpc.Message == rpc.Message { // nor did a ping do more
			return agent.Refusedf(agent.CodeUnavailable, "%s: %s (%w)", c.Target(), rpc.Message,
				communicator.ErrForgotten)
		}
	}
	return nil
}

// lost returns a sign of the session's life: an earlier one, or the answer to a ping.
func (s *Session) lost(ctx context.Context) sign {
	enough := ctx.Done()
	if s.ctx.Err() != nil { // whoever found it out is done in a moment
		enough = nil
	}
	p := &s.prober
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-enough:
		return sign{}
	}
	if s.ctx.Err() == nil && time.Since(p.well) >= probeAgain {
		if p.last = s.probe(ctx); p.last.alive {
			p.well = time.Now()
		}
	}
	return p.last
}

// mayEnd reports whether no call is in flight that the end of the session would cut short. Calls
// that are refused as well will be known in a moment.
func (s *Session) mayEnd(ctx context.Context) bool {
	refused := &s.prober.refused
	refused.Add(1)
	defer refused.Add(-1)
	if s.gate.InFlight() <= int(refused.Load()) {
		return true
	}
	timer := time.NewTimer(probeAgain)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return true
	case <-ctx.Done():
		return s.ctx.Err() != nil
	case <-timer.C:
		return s.gate.InFlight() <= int(refused.Load())
	}
}

// refusedForGood is the error of a call that was refused as all others will be.
func (s *Session) refusedForGood(c *agent.Call, status *wire.HTTPError, n *note) *agent.Error {
	s.forget(fmt.Sprintf("%d %s", status.Status, http.StatusText(status.Status)))
	e := s.refusal(c, status, n)
	out := agent.Refusedf(e.Code, "%s (%w)", e.Message, communicator.ErrForgotten)
	out.Details, out.RetryAfter = e.Details, e.RetryAfter
	return out
}

// forget ends the session, at once, so that nobody calls on it again.
func (s *Session) forget(answered string) {
	s.end(fmt.Errorf("the session ended: %w: it answered %s", communicator.ErrForgotten, answered))
}
