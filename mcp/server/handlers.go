package server

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/budget"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// The requests that lead to an agent, as the SDK has decoded them.

func (e *endpoint) callTool(ctx context.Context, ss *sdk.ServerSession, p *sdk.CallToolParamsRaw) (sdk.Result, error) {
	res, s, err := e.serve(ctx, ss, agent.OpTool, p.Name, p.Arguments,
		requestMeta{p.Meta, p.RequestState})
	return e.toolResult(res, s, err)
}

// raw is a result as a foreign server sent it, for a client.
func (e *endpoint) raw(s codec.ResultFormat, form func(codec.RawFormat, json.RawMessage) (json.RawMessage, error),
	raw json.RawMessage) (sdk.Result, error) {
	out, err := form(codec.RawFormat{ResultFormat: s, Self: e.selfJSON}, raw)
	if err == nil {
		err = e.fitsIn(len(out))
	}
	if err != nil {
		return nil, err
	}
	return &codec.RawResult{JSON: out}, nil
}

// pending is a result that asks the client.
func (e *endpoint) pending(s codec.ResultFormat, p *agent.Pending) (sdk.Result, error) {
	return e.raw(s, func(f codec.RawFormat, _ json.RawMessage) (json.RawMessage, error) { return f.Pending(p) }, nil)
}

// toolResult is what a call of a tool is answered with. An error is one of the protocol.
func (e *endpoint) toolResult(res *agent.Result, s codec.ResultFormat, err error) (sdk.Result, error) {
	var out *sdk.CallToolResult
	var raw sdk.Result
	if err == nil && s.WantsInput(res) {
		if raw, err = e.pending(s, res.Pending); err == nil {
			return raw, nil
		}
	}
	if err == nil && len(res.Raw) > 0 && res.Pending == nil {
		if raw, err = e.raw(s, codec.RawFormat.ToolResult, res.Raw); err == nil {
			return raw, nil
		}
	}
	if err == nil {
		out = codec.ToToolResult(res, s.Version, s.Trusted)
		err = e.fits(res, out)
	}
	if err != nil {
		if isProtocolError(err) {
			return nil, rpcError(err, "", s.Trusted)
		}
		failed := agent.AsError(err)
		if len(failed.RPC) > 0 && !s.Trusted {
			return nil, rpcError(failed, "", s.Trusted)
		}
		if len(failed.Raw) > 0 {
			form := func(f codec.RawFormat, _ json.RawMessage) (json.RawMessage, error) { return f.ErrorResult(failed) }
			if raw, err := e.raw(s, form, failed.Raw); err == nil { // else its text is what fits
				return raw, nil
			}
		}
		out = codec.ToErrorResult(failed, s.Trusted)
	}
	if s.Version > codec.Version20251125 {
		return codec.CompleteToolResult(out), nil
	}
	return out, nil
}

func (e *endpoint) getPrompt(ctx context.Context, ss *sdk.ServerSession, p *sdk.GetPromptParams) (sdk.Result, error) {
	args := p.Arguments
	if args == nil {
		args = map[string]string{}
	}
	in, err := json.Marshal(args)
	if err != nil {
		return nil, codec.ToRPCError(agent.Refusedf(agent.CodeInvalidArgument, "prompt %s: %w", p.Name, err), "")
	}
	res, s, err := e.serve(ctx, ss, agent.OpPrompt, p.Name, in, requestMeta{p.Meta, p.RequestState})
	if err != nil {
		return nil, rpcError(err, "", s.Trusted)
	}
	if s.WantsInput(res) {
		out, err := e.pending(s, res.Pending)
		if err != nil {
			return nil, codec.ToRPCError(err, "")
		}
		return out, nil
	}
	if len(res.Raw) > 0 {
		raw, err := e.raw(s, codec.RawFormat.PromptResult, res.Raw)
		if err != nil {
			return nil, codec.ToRPCError(err, "")
		}
		return raw, nil
	}
	out, err := codec.ToPromptResult(res, s.Version)
	if err == nil {
		err = e.fits(res, out)
	}
	if err != nil {
		return nil, codec.ToRPCError(err, "")
	}
	if s.Version > codec.Version20251125 {
		return codec.CompletePromptResult(out), nil
	}
	return out, nil
}

func (e *endpoint) readResource(ctx context.Context, ss *sdk.ServerSession,
	p *sdk.ReadResourceParams) (sdk.Result, error) {
	res, s, err := e.serve(ctx, ss, agent.OpResource, p.URI, nil, requestMeta{p.Meta, p.RequestState})
	if err != nil {
		err = rpcError(err, p.URI, s.Trusted)
		if rpc := (*jsonrpc.Error)(nil); s.Version > codec.Version20251125 && errors.As(err, &rpc) &&
			rpc.Code == codec.CodeResourceNotFound {
			codec.Renumber(rpc, jsonrpc.CodeInvalidParams)
		}
		return nil, err
	}
	if s.WantsInput(res) {
		out, err := e.pending(s, res.Pending)
		if err != nil {
			return nil, codec.ToRPCError(err, p.URI)
		}
		return out, nil
	}
	if len(res.Raw) > 0 {
		raw, err := e.raw(s, codec.RawFormat.ResourceResult, res.Raw)
		if err != nil {
			return nil, codec.ToRPCError(err, p.URI)
		}
		return raw, nil
	}
	out := codec.ToResourceResult(res)
	if err := e.fits(res, out); err != nil {
		return nil, codec.ToRPCError(err, p.URI)
	}
	if s.Version > codec.Version20251125 {
		out.CacheScope = "private" // an agent may answer each caller differently
		return codec.CompleteResourceResult(out), nil
	}
	return out, nil
}

func (e *endpoint) complete(ctx context.Context, ss *sdk.ServerSession, p *sdk.CompleteParams) (sdk.Result, error) {
	if p.Ref == nil || p.Argument.Name == "" {
		return nil, codec.ToRPCError(agent.Refusedf(agent.CodeInvalidArgument, "completion/complete wants ref and "+
			"argument.name"), "")
	}
	ask := agent.CompleteRequest{Argument: p.Argument.Name, Value: p.Argument.Value}
	if p.Context != nil {
		ask.Others = p.Context.Arguments
	}
	in, err := json.Marshal(ask)
	if err != nil {
		return nil, codec.ToRPCError(agent.Refusedf(agent.CodeInvalidArgument, "completion/complete: %w", err), "")
	}
	name := p.Ref.Name
	if p.Ref.Type == "ref/resource" {
		name = p.Ref.URI
	}
	res, s, err := e.serve(ctx, ss, agent.OpComplete, name, in, requestMeta{meta: p.Meta})
	if err != nil {
		return nil, rpcError(err, "", s.Trusted)
	}
	if len(res.Raw) > 0 {
		raw, err := e.raw(s, codec.RawFormat.CompleteResult, res.Raw)
		if err != nil {
			return nil, codec.ToRPCError(err, "")
		}
		return raw, nil
	}
	out, err := codec.ToCompleteResult(res)
	if err != nil {
		return nil, codec.ToRPCError(err, "")
	}
	return out, nil
}

// requestMeta is what a request says beside its call.
type requestMeta struct {
	meta  sdk.Meta
	state string
}

// serve makes a call of a request that the SDK has decoded.
func (e *endpoint) serve(ctx context.Context, ss *sdk.ServerSession, op agent.Op, name string, in json.RawMessage,
	more requestMeta) (*agent.Result, codec.ResultFormat, error) {
	c := sessionFrom(ctx)
	if c == nil {
		return nil, codec.ResultFormat{}, agent.Refusedf(agent.CodeInternal, "%w", errNoSession)
	}
	r := newRequest(op, name, in, codec.ReadMeta(more.meta, c.identity.Trusted))
	r.id, _ = ctx.Value(requestIDKey{}).(string)
	if version, _ := more.meta[sdk.MetaKeyProtocolVersion].(string); version > codec.Version20251125 {
		info, caps := aboutClient(more.meta)
		c.setStateless(info)
		answers, err := codec.CarriedInputs(more.meta)
		if err != nil {
			return nil, codec.ResultFormat{}, agent.Refusedf(agent.CodeInvalidArgument, "%w", err)
		}
		r.round = &round{caps: caps, answers: answers, state: more.state}
		res, err := e.serveHeld(ctx, ss, c, &r)
		return res, codec.ResultFormat{Version: codec.Version20260728, Trusted: c.identity.Trusted}, err
	}
	version, _ := c.protocol()
	res, err := e.serveHeld(ctx, ss, c, &r)
	return res, codec.ResultFormat{Version: version, Trusted: c.identity.Trusted}, err
}

// heldResult is what the result of a request that the SDK serves takes of its session's memory,
// until the SDK sends it.
type heldResult struct {
	of    *budget.Budget
	bytes int
}

type heldResultKey struct{}

func (h *heldResult) hand() { h.of.Hand(h.bytes) }

// serveHeld makes the call, and has its result count in the memory of its session.
func (e *endpoint) serveHeld(ctx context.Context, ss *sdk.ServerSession, c *session, r *request) (*agent.Result,
	error) {
	res, err := e.serveRequest(ctx, ss, c, r)
	if err != nil {
		return nil, err
	}
	held, err := e.room(c, res)
	if h, ok := ctx.Value(heldResultKey{}).(*heldResult); ok {
		h.bytes = held
	}
	return res, err
}

// room takes what a result needs of the memory of its session. An error says that it is too large,
// before it is copied: it costs its own call only.
func (e *endpoint) room(c *session, res *agent.Result) (held int, err error) {
	n := codec.ResultSize(res, c.identity.Trusted)
	if err := e.fitsIn(n); err != nil {
		return 0, err
	}
	if err := c.memory.Acquire(n); err != nil && n >= budget.Small {
		return 0, agent.Errorf(agent.CodeResourceExhausted, "the result has %d bytes: %w", n, err)
	}
	return n, nil
}

// fits refuses a result that is too large to be sent: on some transports the message would end its
// session.
func (e *endpoint) fits(res *agent.Result, out any) error {
	const growth = 6                                                // a byte becomes six at most, as in \u001f
	if codec.ResultSize(res, true) < e.o.Limits.MaxFrame/2/growth { // twice: a structured value is said as text too
		return nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return agent.Errorf(agent.CodeInternal, "encode the result: %w", err)
	}
	return e.fitsIn(len(b))
}

// fitsIn refuses a result that has so many bytes as JSON.
func (e *endpoint) fitsIn(size int) error {
	const envelope = 4 << 10
	if limit := e.o.Limits.MaxFrame - envelope; size > limit {
		return agent.Errorf(agent.CodeResourceExhausted, "the result has %d bytes as a message, over the limit of %d",
			size, limit)
	}
	return nil
}
