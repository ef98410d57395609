package mcp

import (
	"context"
	"encoding/json"
	"errors"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// The requests that lead to an agent, as the SDK has decoded them.

func (e *endpoint) callTool(ctx context.Context, ss *sdk.ServerSession, p *sdk.CallToolParamsRaw) (*sdk.CallToolResult, error) {
	res, c, err := e.serve(ctx, ss, agent.OpTool, p.Name, p.Arguments, p.Meta)
	if err != nil {
		if u := (*unknownError)(nil); errors.As(err, &u) {
			return nil, rpcError(err, "")
		}
		return toErrorResult(err), nil
	}
	era, _ := c.spoken()
	out := toToolResult(res, era, c.identity.Trusted)
	if err := e.fits(res, out); err != nil {
		return toErrorResult(err), nil
	}
	return out, nil
}

func (e *endpoint) getPrompt(ctx context.Context, ss *sdk.ServerSession, p *sdk.GetPromptParams) (*sdk.GetPromptResult, error) {
	args := p.Arguments
	if args == nil {
		args = map[string]string{}
	}
	in, err := json.Marshal(args)
	if err != nil {
		return nil, toRPCError(agent.Refusedf(agent.CodeInvalidArgument, "prompt %s: %w", p.Name, err), "")
	}
	res, c, err := e.serve(ctx, ss, agent.OpPrompt, p.Name, in, p.Meta)
	if err != nil {
		return nil, rpcError(err, "")
	}
	era, _ := c.spoken()
	out, err := toPromptResult(res, era)
	if err == nil {
		err = e.fits(res, out)
	}
	if err != nil {
		return nil, toRPCError(err, "")
	}
	return out, nil
}

func (e *endpoint) readResource(ctx context.Context, ss *sdk.ServerSession, p *sdk.ReadResourceParams) (*sdk.ReadResourceResult, error) {
	res, _, err := e.serve(ctx, ss, agent.OpResource, p.URI, nil, p.Meta)
	if err != nil {
		return nil, rpcError(err, p.URI)
	}
	out := toResourceResult(res)
	if err := e.fits(res, out); err != nil {
		return nil, toRPCError(err, p.URI)
	}
	return out, nil
}

func (e *endpoint) complete(ctx context.Context, ss *sdk.ServerSession, p *sdk.CompleteParams) (*sdk.CompleteResult, error) {
	if p.Ref == nil || p.Argument.Name == "" {
		return nil, toRPCError(agent.Refusedf(agent.CodeInvalidArgument, "completion/complete wants ref and argument.name"), "")
	}
	ask := agent.CompleteRequest{Argument: p.Argument.Name, Value: p.Argument.Value}
	if p.Context != nil {
		ask.Others = p.Context.Arguments
	}
	in, err := json.Marshal(ask)
	if err != nil {
		return nil, toRPCError(agent.Refusedf(agent.CodeInvalidArgument, "completion/complete: %w", err), "")
	}
	name := p.Ref.Name
	if p.Ref.Type == "ref/resource" {
		name = p.Ref.URI
	}
	res, _, err := e.serve(ctx, ss, agent.OpComplete, name, in, p.Meta)
	if err != nil {
		return nil, rpcError(err, "")
	}
	out, err := toCompleteResult(res)
	if err != nil {
		return nil, toRPCError(err, "")
	}
	return out, nil
}

// serve makes a call of a request that the SDK has decoded.
func (e *endpoint) serve(ctx context.Context, ss *sdk.ServerSession, op agent.Op, name string, in json.RawMessage, meta sdk.Meta) (*agent.Result, *client, error) {
	c := clientFrom(ctx)
	if c == nil {
		return nil, nil, agent.Refusedf(agent.CodeInternal, "%w", errNoClient)
	}
	res, err := e.serveRequest(ctx, ss, c, newRequest(op, name, in, readMeta(meta, c.identity.Trusted)))
	return res, c, err
}

// fits refuses a result that is too large to be sent: on some transports the message would end its session.
func (e *endpoint) fits(res *agent.Result, out any) error {
	const growth = 6 // a byte becomes six at most, as in \u001f
	size := len(res.Structured)
	for _, c := range res.Content {
		size += len(c.Text) + len(c.Data)
		if c.Resource != nil {
			size += len(c.Resource.Text) + len(c.Resource.Blob)
		}
	}
	if size < e.o.Limits.MaxFrame/2/growth { // twice: a structured value is said as text too
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
		return agent.Errorf(agent.CodeResourceExhausted, "the result has %d bytes as a message, over the limit of %d", size, limit)
	}
	return nil
}
