package client

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// Call makes one call. It returns at the end of ctx at the latest, whatever the server does; the
// server is told then. See [communicator.Peer] for the errors.
func (s *Session) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if !s.gate.Enter() {
		if err := s.Err(); err != nil {
			return nil, err
		}
		return nil, agent.Refusedf(agent.CodeUnavailable, "%s: the session is ending", c.Target())
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer s.calls.remove(s.calls.add(cancel))

	f := s.backs.open(ctx, c)
	defer s.backs.close(ctx, f)
	ctx, trace := wire.WithTrace(ctx)
	ctx, note := withNote(ctx)
	out := request{Call: c, trace: trace, note: note}
	if f != nil {
		out.token = f.token
	}
	res, err := s.callInRounds(ctx, out)
	if note.notices.Load() {
		s.flushNotices(ctx)
	}
	if err != nil {
		return nil, s.failure(ctx, c, trace, note, err)
	}
	return res, nil
}

// calls are those in flight: they end with the session. A watcher for each would cost more than
// this.
type calls struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]context.CancelCauseFunc
	over error // why there can be no more
}

// add must be followed by remove.
func (c *calls) add(cancel context.CancelCauseFunc) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		cancel(c.over)
	}
	if c.open == nil {
		c.open = map[uint64]context.CancelCauseFunc{}
	}
	c.last++
	c.open[c.last] = cancel
	return c.last
}

func (c *calls) remove(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, n)
}

func (c *calls) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = why
	for _, cancel := range c.open {
		cancel(why)
	}
}

// request is a call on its way.
type request struct {
	*agent.Call
	token string // for progress; empty: nobody listens
	trace *wire.Trace
	note  *note
	// With protocol 2026-07-28: the answers to what an earlier result wanted, and its state.
	responses sdk.InputResponseMap
	state     string
}

// metaOf is what a request says about its call.
func (s *Session) metaOf(ctx context.Context, out request) sdk.Meta {
	m := codec.RequestMeta(ctx, out.Call, s.target.Trusted)
	if out.token != "" {
		m["progressToken"] = out.token
	}
	if s.stateless() {
		m[sdk.MetaKeyLogLevel] = string(s.logLevel())
	}
	return m
}

// send makes the request and reads the answer. What every request needs was done, and what every
// failure needs will be: an error is the [*agent.Error] that the server answered with, or how the
// sending failed.
func (s *Session) send(ctx context.Context, out request) (*agent.Result, error) {
	switch out.Op {
	case agent.OpTool:
		return s.callTool(ctx, out, out.Name, objectOrEmpty(out.Input))
	case agent.OpPrompt:
		return s.getPrompt(ctx, out)
	case agent.OpResource:
		res, err := s.sdk.ReadResource(ctx, &sdk.ReadResourceParams{Meta: s.metaOf(ctx, out), URI: out.Name,
			InputResponses: out.responses, RequestState: out.state})
		if err != nil {
			return nil, err
		}
		got := codec.FromResourceResult(res)
		got.Pending, err = codec.DecodePending(res.NeedsInput(), res.InputRequests, res.RequestState)
		return got, err
	case agent.OpComplete:
		return s.complete(ctx, out)
	case agent.OpEvent:
		if !s.target.Trusted {
			return nil, agent.Refusedf(agent.CodeUnimplemented, "%s: a server that is not ours takes no events",
				out.Target())
		}
		args := codec.EventArgsOf(out.Call)
		if len(args.Payload) == 0 {
			args.Payload = json.RawMessage("null")
		}
		raw, err := json.Marshal(args)
		if err != nil {
			return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: encode the event: %w", out.Target(), err)
		}
		return s.callTool(ctx, out, codec.EventTool, raw)
	}
	return nil, agent.Refusedf(agent.CodeUnimplemented, "%s: MCP has no operation %q", out.Target(), out.Op)
}

// callTool is the one place where tools/call is sent.
func (s *Session) callTool(ctx context.Context, out request, name string, arguments json.RawMessage) (*agent.Result,
	error) {
	if out.note.direct = s.takesFast(out, name); out.note.direct {
		res, err := s.callFast(ctx, out, name, arguments)
		if !errors.Is(err, errNotTaken) {
			return res, err
		}
		out.note.direct = false
	}
	// The SDK changes the parameters it is given: they are never shared.
	res, err := s.sdk.CallTool(ctx, &sdk.CallToolParams{Meta: s.metaOf(ctx, out), Name: name, Arguments: arguments,
		InputResponses: out.responses, RequestState: out.state})
	if err != nil {
		return nil, err
	}
	return codec.FromToolResult(res, s.target.Trusted)
}

func (s *Session) getPrompt(ctx context.Context, out request) (*agent.Result, error) {
	var args map[string]string
	if err := json.Unmarshal(objectOrEmpty(out.Input), &args); err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: the arguments of a prompt are an object of "+
			"strings: %w", out.Target(), err)
	}
	res, err := s.sdk.GetPrompt(ctx, &sdk.GetPromptParams{Meta: s.metaOf(ctx, out), Name: out.Name, Arguments: args,
		InputResponses: out.responses, RequestState: out.state})
	if err != nil {
		return nil, err
	}
	got, err := codec.FromPromptResult(res)
	if err == nil && res.NeedsInput() {
		got.Pending, err = codec.DecodePending(true, res.InputRequests, res.RequestState)
	}
	return got, err
}

func (s *Session) complete(ctx context.Context, out request) (*agent.Result, error) {
	var req agent.CompleteRequest
	if err := json.Unmarshal(objectOrEmpty(out.Input), &req); err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: complete: %w", out.Target(), err)
	}
	params := &sdk.CompleteParams{Meta: s.metaOf(ctx, out), Ref: codec.CompleteRef(out.Name),
		Argument: sdk.CompleteParamsArgument{Name: req.Argument, Value: req.Value}}
	if len(req.Others) > 0 {
		params.Context = &sdk.CompleteContext{Arguments: req.Others}
	}
	res, err := s.sdk.Complete(ctx, params)
	if err != nil {
		return nil, err
	}
	return codec.FromCompleteResult(res)
}

func objectOrEmpty(in json.RawMessage) json.RawMessage {
	if len(in) == 0 || string(in) == "null" {
		return json.RawMessage("{}")
	}
	return in
}
