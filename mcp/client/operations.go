package client

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

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
		return s.exchange(out, func(raw json.RawMessage) (*agent.Result, error) {
			return codec.ReadResourceResult(raw, out.Name, s.oddIn(out))
		}, func() error {
			_, err := s.sdk.ReadResource(ctx, &sdk.ReadResourceParams{Meta: s.metaOf(ctx, out), URI: out.Name,
				RequestState: out.state})
			return err
		})
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
		answer, err := s.callFast(ctx, out, name, arguments)
		if err == nil {
			return s.result(out, answer, s.decodeTool)
		}
		if !errors.Is(err, errNotTaken) {
			return nil, err
		}
		out.note.direct = false
	}
	// The SDK changes the parameters it is given: they are never shared.
	return s.exchange(out, s.decodeTool, func() error {
		_, err := s.sdk.CallTool(ctx, &sdk.CallToolParams{Meta: s.metaOf(ctx, out), Name: name, Arguments: arguments,
			RequestState: out.state})
		return err
	})
}

func (s *Session) decodeTool(raw json.RawMessage) (*agent.Result, error) {
	return codec.DecodeToolResult(raw, s.target.Trusted)
}

// exchange sends a request by the SDK, and reads what it is answered with as it came.
func (s *Session) exchange(out request, decode func(json.RawMessage) (*agent.Result, error),
	send func() error) (*agent.Result, error) {
	out.note.KeepAnswer(nil)
	err := send()
	if answer := out.note.Answer(); answer != nil {
		return s.result(out, codec.ReadResponse(answer), decode)
	}
	if err == nil {
		err = agent.Errorf(agent.CodeInternal, "%s: the answer was lost", out.Target()) // cannot happen
	}
	return nil, err
}

// oddIn warns of what is wrong with the result of a request: of each thing once.
func (s *Session) oddIn(out request) func(string) {
	return func(what string) {
		if s.odd.first(out.Target() + ": " + what) {
			s.log.Warn("a result of the server is not as MCP has it: the rest of it is passed on", "of", out.Target(),
				"reason", what)
		}
	}
}

// result is what the answer to a request means. The error is an [*agent.Error].
func (s *Session) result(out request, answer codec.Response,
	decode func(json.RawMessage) (*agent.Result, error)) (res *agent.Result, err error) {
	if err = answer.Err; err == nil {
		res, err = decode(answer.Result)
	} else if e, ok := codec.FromRPCError(err, s.target.Trusted); ok {
		if rpc := (*jsonrpc.Error)(nil); errors.As(err, &rpc) {
			out.note.rpc.Store(rpc)
		}
		return nil, e
	}
	if err == nil {
		return res, nil
	}
	var e *agent.Error
	var large *wire.TooLargeError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &large):
		err = agent.Errorf(agent.CodeResourceExhausted, "%s: %s", out.Target(), s.opts.tooLarge(large))
	default:
		err = agent.Errorf(agent.CodeInternal, "%s: %w", out.Target(), err)
	}
	return nil, err
}

func (s *Session) getPrompt(ctx context.Context, out request) (*agent.Result, error) {
	var args map[string]string
	if err := json.Unmarshal(objectOrEmpty(out.Input), &args); err != nil {
		return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: the arguments of a prompt are an object of "+
			"strings: %w", out.Target(), err)
	}
	return s.exchange(out, func(raw json.RawMessage) (*agent.Result, error) {
		return codec.ReadPromptResult(raw, s.oddIn(out))
	}, func() error {
		_, err := s.sdk.GetPrompt(ctx, &sdk.GetPromptParams{Meta: s.metaOf(ctx, out), Name: out.Name, Arguments: args,
			RequestState: out.state})
		return err
	})
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
	return s.exchange(out, codec.ReadCompleteResult, func() error {
		_, err := s.sdk.Complete(ctx, params)
		return err
	})
}

// metaOf is what a request says about its call.
func (s *Session) metaOf(ctx context.Context, out request) sdk.Meta {
	m := codec.RequestMeta{Call: out.Call, Trusted: s.target.Trusted, Baggage: s.target.Baggage,
		Progress: out.token}.Decoded(ctx)
	if s.stateless() {
		m[sdk.MetaKeyLogLevel] = string(s.logLevel())
	}
	return m
}
