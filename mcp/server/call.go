package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/stack"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/budget"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// serveCall is the one way of a request into an agent: the SDK's handlers and the fast path beside
// them come through here, so that limits, identity, deadline, drain and panics are the same for
// all. The error is an *unknownError, a *stateError, a [*held.CapabilityError] or an *agent.Error.
//
// back may be nil. It must be of use until serveCall has returned.
func (e *endpoint) serveCall(ctx context.Context, c *session, r *request, back agent.BackChannel) (res *agent.Result,
	err error) {
	args, err := c.takeArguments(r)
	if err == nil {
		defer c.memory.Release(args)
		err = e.enter(c)
	}
	if err != nil {
		return nil, e.refused(ctx, c, r, err)
	}
	defer e.gate.Leave()
	defer c.gate.Leave()
	call, err := e.newCall(c, r)
	if err != nil {
		return nil, e.refused(ctx, c, r, err)
	}
	call.Back = back
	ctx, end := c.bind(ctx, r)
	defer end()
	ctx = e.described(ctx, c, r)
	if r.meta.Timeout > 0 {
		var end func()
		ctx, call, end = calls.Bound(ctx, call, r.meta.Timeout)
		defer end()
	}
	if r.op == agent.OpTool && c.identity.Trusted {
		res, err = e.call(ctx, call) // the client answers a result that wants input itself
	} else {
		res, err = e.rounds(ctx, call, call.Back)
	}
	if err != nil {
		return nil, err
	}
	return e.export(c, call, res), nil
}

// refused reports a stranger's request that becomes no call, and returns its error. Our own
// processes report what their calls end with.
func (e *endpoint) refused(ctx context.Context, c *session, r *request, err error) error {
	if e.o.OnRefused == nil || c.identity.Trusted {
		return err
	}
	call := &agent.Call{ID: r.meta.ID, Op: r.op, Agent: e.agent, Name: r.name, Input: r.input, Meta: r.meta.Trace,
		Attempt: r.meta.Attempt}
	c.identity.fill(call, r.meta)
	ctx = e.described(ctx, c, r)
	why, known := agent.AsError(err), func() []string { return nil }
	if u := (*unknownError)(nil); errors.As(err, &u) {
		why = agent.Refusedf(agent.CodeNotFound, "%w", u)
		known = func() []string { return e.catalog.Load().Names(r.op) }
	}
	trace := e.o.OnRefused(ctx, call, why, known)
	switch err := err.(type) { //nolint:errorlint // the two that a request is refused with
	case *unknownError:
		err.trace = trace
	case *agent.Error:
		err.Trace = trace
	}
	return err
}

// takeArguments takes what the arguments of a call need of the memory of its session, or refuses
// it: nothing is left. Over streamable HTTP the body that they are in has been counted.
func (c *session) takeArguments(r *request) (held int, err error) {
	n := len(r.input)
	if c.transport == mcp.Streamable {
		if n >= budget.Small {
			return 0, nil
		}
		n = 0
	}
	if err := c.memory.Acquire(n); err != nil {
		return 0, agent.Refusedf(agent.CodeResourceExhausted, "%w", err)
	}
	return n, nil
}

// enter counts a call in, on the server and on its session, or refuses it.
func (e *endpoint) enter(c *session) error {
	if !e.gate.Enter() {
		return shuttingDown()
	}
	if e.gate.InFlight() > e.o.Limits.Calls {
		e.gate.Leave()
		return agent.Refusedf(agent.CodeResourceExhausted, "%d calls are running on this server, the limit (mcp.max_calls)",
			e.o.Limits.Calls)
	}
	if !c.gate.Enter() {
		e.gate.Leave()
		return shuttingDown()
	}
	if c.gate.InFlight() > e.o.Limits.SessionCalls {
		c.gate.Leave()
		e.gate.Leave()
		return agent.Refusedf(agent.CodeResourceExhausted, "%d calls are running on this session, the limit "+
			"(mcp.max_session_calls)", e.o.Limits.SessionCalls)
	}
	return nil
}

func shuttingDown() *agent.Error {
	e := agent.Refusedf(agent.CodeUnavailable, "shutting down")
	e.RetryAfter = retryAfter
	return e
}

// newCall finds out whom r is for and on whose behalf.
func (e *endpoint) newCall(c *session, r *request) (*agent.Call, error) {
	call := &agent.Call{ID: r.meta.ID, Op: r.op, Input: r.input, Attempt: r.meta.Attempt,
		Inputs: r.meta.Inputs, State: r.meta.State}
	c.identity.fill(call, r.meta)
	call.Key, call.Keeper = c.keyOf(r), r.meta.Keeper
	_, call.Meta = c.protocol()
	if own := r.meta.Trace; own != nil { // the session's has no such keys
		maps.Copy(own, call.Meta)
		call.Meta = own
	}
	if r.op == agent.OpTool && r.name == codec.EventTool && e.agent != "" && c.identity.Trusted {
		var ev codec.EventArgs
		if err := json.Unmarshal(r.input, &ev); err != nil {
			return nil, agent.Refusedf(agent.CodeInvalidArgument, "event: %w", err)
		}
		ev.Fill(call)
		c.identity.fill(call, codec.CallMeta{Caller: ev.Source})
		call.Agent = e.agent
		return call, nil
	}
	to, err := e.resolve(c, r.op, r.name)
	if err != nil {
		return nil, err
	}
	call.Agent, call.Name = to.Agent, to.Name
	if call.Input, err = r.arguments(c.identity.Trusted); err != nil {
		return nil, err
	}
	return call, nil
}

// keyOf is the idempotency key of a request, among the calls of its user. Those of an anonymous
// client count for its session only, and not at all where each request is a session of its own. In
// protocol 2026-07-28, where a tool cannot ask during a call, a key stands for the call with the
// answers that it has so far: with each more, the tool runs anew.
func (c *session) keyOf(r *request) string {
	key, scope := r.meta.Key, ""
	if key == "" || len(key) > agent.MaxKey { // one that is too long is refused by the callee
		return key
	}
	if c.identity.name() == agent.Anonymous {
		if r.round != nil && c.transport == mcp.Streamable {
			return ""
		}
		scope = c.id + "/"
	}
	if r.round != nil && r.round.answered != "" {
		scope += r.round.answered + "/"
	}
	if len(scope)+len(key) > agent.MaxKey {
		sum := sha256.Sum256([]byte(key))
		key = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return scope + key
}

// call makes one call: there is a result or an *agent.Error. It recovers what the caller behind the
// endpoint did not: a panic costs its call, not the process.
func (e *endpoint) call(ctx context.Context, call *agent.Call) (res *agent.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.o.Logger.ErrorContext(ctx, "panic in a call", "call", call.ID, "target", call.Target(), "panic",
				fmt.Sprint(p), "stack", stack.OfPanic())
			res, err = nil, agent.Errorf(agent.CodeInternal, "%s panicked", call.Target())
		}
	}()
	res, err = e.caller.Call(ctx, call)
	switch {
	case err != nil:
		return nil, agent.AsError(err)
	case res == nil:
		return &agent.Result{}, nil
	}
	return res, nil
}

// rounds makes the call, and again with the client's answers as long as it asks for input.
func (e *endpoint) rounds(ctx context.Context, call *agent.Call, back agent.BackChannel) (*agent.Result, error) {
	for range codec.MaxRounds {
		res, err := e.call(ctx, call)
		if err != nil || res.Pending == nil {
			return res, err
		}
		next := *call
		if next.Inputs, err = codec.CollectInputs(ctx, back, res.Pending); err != nil {
			return nil, agent.AsError(err)
		}
		next.State = res.Pending.State
		call = &next
	}
	return nil, agent.Errorf(agent.CodeResourceExhausted, "%s asked for input %d times", call.Target(), codec.MaxRounds)
}

// described is ctx with what the call of r came with, if a span says it.
func (e *endpoint) described(ctx context.Context, c *session, r *request) context.Context {
	if e.o.Describe == nil || !e.o.Describe(r.meta.Trace) {
		return ctx
	}
	return calls.Arrived(ctx, c.describe(r))
}

// describe tells what r came with.
func (c *session) describe(r *request) *calls.Request {
	out := &calls.Request{ID: r.id, Peer: c.client, Network: "tcp"}
	if c.transport == mcp.Stdio {
		out.Network = "pipe"
	}
	c.mu.Lock()
	out.Version = c.version
	ss := c.ss
	c.mu.Unlock()
	if ss != nil {
		out.SetSession(ss.ID())
	}
	return out
}
