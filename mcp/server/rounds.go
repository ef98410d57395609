package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/requeststate"
	"github.com/openmas/openmas/mcp/server/internal/held"
)

// A client of protocol 2026-07-28 cannot be asked while its request waits. What a tool asks ends
// the request with a result that wants input; the client makes the call again with the answers. The
// running call waits for that (package held). Where it is gone, because the process ended or too
// many wait, a tool that is safe to repeat runs again from its start, and gets the answers so far
// at once. They are in the state that the client carries from one round to the next, signed.

// serveRounds is serveCall for a client that is asked by results.
func (e *endpoint) serveRounds(ctx context.Context, c *session, r *request, notices *backChannel) (*agent.Result,
	error) {
	now, err := e.readRound(c, r)
	if err != nil {
		return nil, e.refused(ctx, c, r, err)
	}
	if err := e.enter(c); err != nil {
		return nil, e.refused(ctx, c, r, err)
	}
	defer e.gate.Leave()
	defer c.gate.Leave()
	ctx, end := c.bind(ctx, r)
	defer end()
	if now.Held != "" {
		if h := e.held.Find(now.Held); h != nil {
			return h.Serve(ctx, now, r.round.answers, notices)
		}
		if !e.repeatable(c, r) {
			return nil, e.refused(ctx, c, r, e.gone(now, r))
		}
	}
	r.meta.Inputs, r.meta.State = now.Inputs, now.State
	r.round.answered = nameOf(now.Answers)
	call, err := e.newCall(c, r)
	if err != nil {
		return nil, e.refused(ctx, c, r, err)
	}
	o := held.Options{Call: call, Timeout: r.meta.Timeout, State: now, Caps: r.round.caps,
		Repeatable: func() bool { return e.repeatable(c, r) },
		Run: func(ctx context.Context, call *agent.Call) (*agent.Result, error) {
			res, err := e.call(ctx, call)
			if err != nil {
				return nil, err
			}
			return e.export(c, call, res), nil
		}}
	if c.transport == mcp.Stdio { // its session outlives requests
		o.Session = c.ctx
	}
	return e.held.Start(e.described(ctx, c, r), o, notices)
}

// readRound reads what the client carried, with its answers in it.
func (e *endpoint) readRound(c *session, r *request) (now requeststate.State, err error) {
	now = requeststate.State{Bound: e.boundTo(c.identity, r), Inputs: r.round.answers}
	if r.round.state != "" {
		now, err = e.o.Process.sealer.Open(r.round.state, now.Bound)
		switch {
		case errors.Is(err, requeststate.ErrExpired) && now.Held != "" && !e.repeatable(c, r):
			return now, e.gone(now, r) // "make the call anew" would be wrong
		case err != nil:
			return now, &stateError{err}
		}
		own := map[string]json.RawMessage{}
		for id, answer := range r.round.answers {
			if !now.Own && slices.Contains(now.Asked, id) {
				if now.Answers == nil {
					now.Answers = map[string]json.RawMessage{}
				}
				now.Answers[id] = answer
			} else {
				own[id] = answer
			}
		}
		if now.Own {
			now.Inputs = own
		}
	}
	if now.Round++; now.Round > codec.MaxRounds {
		return now, agent.Errorf(agent.CodeResourceExhausted, "%s asked for input %d times", r.name, codec.MaxRounds)
	}
	return now, nil
}

// gone is the outcome of a call that waited, is there no more and must not run again.
func (e *endpoint) gone(state requeststate.State, r *request) error {
	why := fmt.Sprintf("its question was open for more than %s, or it has ended and made room for others", held.Life)
	if mine := e.o.Process.sealer.Process(); state.Process != mine {
		why = fmt.Sprintf("it ran in process %s, which has ended or is not this one, %s", state.Process, mine)
	}
	return agent.Errorf(agent.CodeOutcomeUnknown, "%s waited for the answer to a question and is not here: %s; it is "+
		"not safe to repeat, so it does not run again", r.name, why)
}

// repeatable reports whether a call may run again from its start: reading may, and a tool that says
// so.
func (e *endpoint) repeatable(c *session, r *request) bool {
	if r.op != agent.OpTool {
		return true
	}
	to, err := e.resolve(c, r.op, r.name)
	return err == nil && e.catalog.Load().Repeatable(to)
}

// nameOf is a short text that differs when answers do; empty without any.
func nameOf(answers map[string]json.RawMessage) string {
	if len(answers) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(answers)) {
		_, _ = fmt.Fprintf(sum, "%d:%s%d:%s", len(id), id, len(answers[id]), answers[id]) // never fails
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12])
}

// boundTo is the call that a state belongs to: nobody else's, and no other.
func (e *endpoint) boundTo(id Identity, r *request) []byte {
	sum := sha256.New()
	for _, part := range []string{e.agent, id.Agent, id.User, strconv.FormatBool(id.Trusted), string(r.op), r.name,
		string(r.input)} {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part) // never fails
	}
	return sum.Sum(nil)
}

// serveRequest is serveCall with a back-channel through the client's session.
func (e *endpoint) serveRequest(ctx context.Context, ss *sdk.ServerSession, c *session, r *request) (*agent.Result,
	error) {
	back := newBackChannel(ctx, ss, c, r)
	defer back.close()
	if r.round != nil {
		res, err := e.serveRounds(ctx, c, r, back)
		return res, c.ofCut(err)
	}
	res, err := e.serveCall(ctx, c, r, back)
	return res, c.ofCut(err)
}
