package mcp

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// The requests that lead to an agent, as the SDK has decoded them.

func (e *endpoint) callTool(ctx context.Context, ss *sdk.ServerSession, p *sdk.CallToolParamsRaw) (*sdk.CallToolResult,
	error) {
	res, s, err := e.serve(ctx, ss, agent.OpTool, p.Name, p.Arguments, said{p.Meta, p.InputResponses, p.RequestState})
	return e.toolResult(res, s, err)
}

// toolResult is what a call of a tool is answered with. An error is one of the protocol.
func (e *endpoint) toolResult(res *agent.Result, s speech, err error) (*sdk.CallToolResult, error) {
	var out *sdk.CallToolResult
	if err == nil && s.wantsInput(res) {
		out = new(sdk.CallToolResult)
		if err = wantInput(res.Pending, out); err == nil {
			return out, nil
		}
	}
	if err == nil {
		out = toToolResult(res, s.era, s.trusted)
		err = e.fits(res, out)
	}
	if err != nil {
		if isProtocolError(err) {
			return nil, rpcError(err, "")
		}
		out = toErrorResult(err)
	}
	if s.era > eraLast {
		return completeTool(out), nil
	}
	return out, nil
}

// isProtocolError reports whether an error is about the request and not about the tool.
func isProtocolError(err error) bool {
	var unknown *unknownError
	var state *stateError
	var missing *capabilityError
	return errors.As(err, &unknown) || errors.As(err, &state) || errors.As(err, &missing)
}

func (e *endpoint) getPrompt(ctx context.Context, ss *sdk.ServerSession, p *sdk.GetPromptParams) (*sdk.GetPromptResult,
	error) {
	args := p.Arguments
	if args == nil {
		args = map[string]string{}
	}
	in, err := json.Marshal(args)
	if err != nil {
		return nil, toRPCError(agent.Refusedf(agent.CodeInvalidArgument, "prompt %s: %w", p.Name, err), "")
	}
	res, s, err := e.serve(ctx, ss, agent.OpPrompt, p.Name, in, said{p.Meta, p.InputResponses, p.RequestState})
	if err != nil {
		return nil, rpcError(err, "")
	}
	if s.wantsInput(res) {
		out := new(sdk.GetPromptResult)
		if err := wantInput(res.Pending, out); err != nil {
			return nil, toRPCError(err, "")
		}
		return out, nil
	}
	out, err := toPromptResult(res, s.era)
	if err == nil {
		err = e.fits(res, out)
	}
	if err != nil {
		return nil, toRPCError(err, "")
	}
	if s.era > eraLast {
		return completePrompt(out), nil
	}
	return out, nil
}

func (e *endpoint) readResource(ctx context.Context, ss *sdk.ServerSession,
	p *sdk.ReadResourceParams) (*sdk.ReadResourceResult, error) {
	res, s, err := e.serve(ctx, ss, agent.OpResource, p.URI, nil, said{p.Meta, p.InputResponses, p.RequestState})
	if err != nil {
		err = rpcError(err, p.URI)
		if rpc := (*jsonrpc.Error)(nil); s.era > eraLast && errors.As(err, &rpc) && rpc.Code == codeResourceNotFound {
			rpc.Code = jsonrpc.CodeInvalidParams
		}
		return nil, err
	}
	if s.wantsInput(res) {
		out := new(sdk.ReadResourceResult)
		if err := wantInput(res.Pending, out); err != nil {
			return nil, toRPCError(err, p.URI)
		}
		return out, nil
	}
	out := toResourceResult(res)
	if err := e.fits(res, out); err != nil {
		return nil, toRPCError(err, p.URI)
	}
	if s.era > eraLast {
		out.CacheScope = "private" // an agent may answer each caller differently
		return completeResource(out), nil
	}
	return out, nil
}

func (e *endpoint) complete(ctx context.Context, ss *sdk.ServerSession, p *sdk.CompleteParams) (*sdk.CompleteResult,
	error) {
	if p.Ref == nil || p.Argument.Name == "" {
		return nil, toRPCError(agent.Refusedf(agent.CodeInvalidArgument, "completion/complete wants ref and "+
			"argument.name"), "")
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
	res, _, err := e.serve(ctx, ss, agent.OpComplete, name, in, said{meta: p.Meta})
	if err != nil {
		return nil, rpcError(err, "")
	}
	out, err := toCompleteResult(res)
	if err != nil {
		return nil, toRPCError(err, "")
	}
	return out, nil
}

// said is what a request says beside its call.
type said struct {
	meta    sdk.Meta
	answers sdk.InputResponseMap
	state   string
}

// speech is how a request is to be answered.
type speech struct {
	era     string
	trusted bool
}

// wantsInput reports whether a result asks the client, in words that it knows.
func (s speech) wantsInput(res *agent.Result) bool { return s.era > eraLast && res.Pending != nil }

// serve makes a call of a request that the SDK has decoded.
func (e *endpoint) serve(ctx context.Context, ss *sdk.ServerSession, op agent.Op, name string, in json.RawMessage,
	more said) (*agent.Result, speech, error) {
	c := clientFrom(ctx)
	if c == nil {
		return nil, speech{}, agent.Refusedf(agent.CodeInternal, "%w", errNoClient)
	}
	r := newRequest(op, name, in, readMeta(more.meta, c.identity.Trusted))
	if version, _ := more.meta[sdk.MetaKeyProtocolVersion].(string); version > eraLast {
		about := sdk.ServerRequest[*sdk.PingParams]{Params: &sdk.PingParams{Meta: more.meta}}
		c.introduced(about.ClientInfo())
		answers, err := fromResponses(more.answers)
		if err != nil {
			return nil, speech{}, agent.Refusedf(agent.CodeInvalidArgument, "%w", err)
		}
		r.round = &round{caps: about.ClientCapabilities(), answers: answers, state: more.state}
		res, err := e.serveRequest(ctx, ss, c, r)
		return res, speech{eraNewest, c.identity.Trusted}, err
	}
	era, _ := c.spoken()
	res, err := e.serveRequest(ctx, ss, c, r)
	return res, speech{era, c.identity.Trusted}, err
}

// fits refuses a result that is too large to be sent: on some transports the message would end its
// session.
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
		return agent.Errorf(agent.CodeResourceExhausted, "the result has %d bytes as a message, over the limit of %d",
			size, limit)
	}
	return nil
}
