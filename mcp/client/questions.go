package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/stack"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// receive answers what a server asks of its client, before the SDK would say that we cannot.
func (s *Session) receive(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (res sdk.Result, err error) {
		defer func() {
			if p := recover(); p != nil { // what a server sends must not end the process
				s.log.ErrorContext(ctx, "panic in a request of the server", "method", method, "panic", fmt.Sprint(p),
					"stack", stack.OfPanic())
				res, err = nil, codec.ToRPCError(agent.Errorf(agent.CodeInternal, "internal error"), "")
			}
		}()
		if kind := codec.KindOf(method); kind != "" {
			return s.answer(ctx, method, kind, r.GetParams())
		}
		return next(ctx, method, r)
	}
}

// answer passes a question on as it came, and the answer back.
func (s *Session) answer(ctx context.Context, method, kind string, carrier sdk.Params) (sdk.Result, error) {
	params, err := codec.Carried(carrier.GetMeta())
	switch {
	case errors.Is(err, codec.ErrNothing) && kind == agent.AskRoots: // which may have none
		params = json.RawMessage("{}")
	case errors.Is(err, codec.ErrNothing):
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: method + " has no params"}
	case err != nil:
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams,
			Message: "the params of " + method + ": " + err.Error()}
	}
	raw, err := s.ask(ctx, kind, params)
	if err == nil && kind == agent.AskSample {
		raw, err = codec.SampleAnswer(raw, s.ProtocolVersion())
	}
	if err != nil {
		return nil, codec.ToPeerError(err, "", s.target.Trusted)
	}
	return &codec.RawResult{JSON: raw}, nil
}

// ask finds who is to answer a question and asks.
func (s *Session) ask(ctx context.Context, kind string, params json.RawMessage) (json.RawMessage, error) {
	select {
	case s.questions <- struct{}{}:
		defer func() { <-s.questions }()
	default:
		return nil, agent.Errorf(agent.CodeResourceExhausted, "more than %d questions at once", maxQuestions)
	}
	params, id := codec.ReadQuestion(params)
	b, inFlight := s.backChannelFor(id), s.backs.open()
	if b == nil && inFlight > 1 {
		return nil, s.whoAsks(kind, inFlight)
	}
	if b == nil {
		return nil, agent.Errorf(agent.CodeUnavailable, "nobody answers %q requests outside of a call", kind)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// When the call is over, so is its question.
	defer context.AfterFunc(b.ctx, func() { cancel(context.Cause(b.ctx)) })()
	caller := b.back
	if b == s.owner {
		caller = nil
	}
	question := agent.Request{Kind: kind, Params: params}
	s.backs.visits(b, codec.ElicitationID(question))
	answer, err := s.askOr(ctx, caller, question)
	if caller == nil && inFlight > 1 && errors.Is(err, agent.CodeUnavailable) {
		return nil, s.whoAsks(kind, inFlight)
	}
	return answer, err
}

// askOr asks whoever made a call, nil for nobody, and where that cannot answer the session's owner.
// If neither can, the caller's reason counts: the owner's is that nothing is set up for it.
func (s *Session) askOr(ctx context.Context, caller agent.BackChannel, r agent.Request) (json.RawMessage, error) {
	why := error(agent.Errorf(agent.CodeUnavailable, "nobody answers %q requests", r.Kind))
	if caller != nil {
		answer, err := s.request(ctx, caller, r)
		if s.owner == nil || !errors.Is(err, agent.CodeUnavailable) {
			return answer, err
		}
		why = err
	}
	if s.owner != nil {
		answer, err := s.request(ctx, s.owner.back, r)
		if caller == nil || !errors.Is(err, agent.CodeUnavailable) {
			return answer, err
		}
	}
	return nil, why
}

// whoAsks is why a question has no answer that could have one if its call were known: MCP's
// questions do not name the call that they belong to.
func (s *Session) whoAsks(kind string, inFlight int) error {
	s.log.Warn("a question of the server has no answer: several calls are in flight, and it does not say which one asks",
		"kind", kind, "in_flight", inFlight)
	return agent.Errorf(agent.CodeUnavailable, "%d calls are in flight, and a %q request does not say which of them "+
		"asks: make one call at a time", inFlight, kind)
}

// request calls back, whose code is a stranger's.
func (s *Session) request(ctx context.Context, back agent.BackChannel, r agent.Request) (raw json.RawMessage,
	err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "panic in a back-channel", "kind", r.Kind, "panic", fmt.Sprint(p), "stack",
				stack.OfPanic())
			raw, err = nil, agent.Errorf(agent.CodeInternal, "the answer to a %s request panicked", r.Kind)
		}
	}()
	raw, err = back.Request(ctx, r)
	if err == nil && !json.Valid(raw) {
		err = agent.Errorf(agent.CodeInternal, "the answer to a %s request is no JSON", r.Kind)
	}
	return raw, err
}
