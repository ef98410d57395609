package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// receive answers what a server asks of its client, before the SDK would say that we cannot.
func (s *Session) receive(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (res sdk.Result, err error) {
		defer func() {
			if p := recover(); p != nil { // what a server sends must not end the process
				s.log.ErrorContext(ctx, "panic in a request of the server", "method", method, "panic", fmt.Sprint(p),
					"stack", string(debug.Stack()))
				res, err = nil, codec.ToRPCError(agent.Errorf(agent.CodeInternal, "internal error"), "")
			}
		}()
		switch method {
		case "sampling/createMessage":
			var res sdk.CreateMessageWithToolsResult
			return answerTo(ctx, s, agent.AskSample, r.GetParams(), &res, func(raw json.RawMessage) error {
				return codec.SampleAnswer(raw, s.ProtocolVersion(), &res)
			})
		case "roots/list":
			res := sdk.ListRootsResult{Roots: []*sdk.Root{}}
			return answerTo(ctx, s, agent.AskRoots, rootsParams(r.GetParams()), &res, decodeInto(&res))
		}
		return next(ctx, method, r)
	}
}

func (s *Session) elicit(ctx context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
	var res sdk.ElicitResult
	if _, err := answerTo(ctx, s, agent.AskElicit, r.Params, &res, decodeInto(&res)); err != nil {
		return nil, err
	}
	return &res, nil
}

func decodeInto(res any) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if err := json.Unmarshal(raw, res); err != nil {
			return agent.Errorf(agent.CodeInternal, "the answer does not decode: %w", err)
		}
		return nil
	}
}

// answerTo passes a question on and decodes the answer into res.
func answerTo(ctx context.Context, s *Session, kind string, params sdk.Params, res sdk.Result,
	decode func(json.RawMessage) error) (sdk.Result, error) {
	raw, err := s.ask(ctx, kind, params)
	if err == nil {
		err = decode(raw)
	}
	if err != nil {
		return nil, codec.ToRPCError(err, "")
	}
	return res, nil
}

// ask finds who is to answer a question and asks.
func (s *Session) ask(ctx context.Context, kind string, params sdk.Params) (json.RawMessage, error) {
	select {
	case s.questions <- struct{}{}:
		defer func() { <-s.questions }()
	default:
		return nil, agent.Errorf(agent.CodeResourceExhausted, "more than %d questions at once", maxQuestions)
	}
	meta := map[string]any{}
	id := ""
	if params != nil {
		for k, v := range params.GetMeta() {
			meta[k] = v
		}
		id = callIDOf(meta)
	}
	f, inFlight := s.backChannelFor(id), s.backs.open()
	if f == nil && inFlight > 1 {
		return nil, s.whoAsks(kind, inFlight)
	}
	if f == nil {
		return nil, agent.Errorf(agent.CodeUnavailable, "nobody answers %q requests outside of a call", kind)
	}
	for k := range meta {
		if strings.HasPrefix(k, codec.MetaPrefix) {
			delete(meta, k)
		}
	}
	raw := json.RawMessage("{}")
	if params != nil {
		params.SetMeta(meta)
		b, err := json.Marshal(params)
		if err != nil {
			return nil, agent.Errorf(agent.CodeInternal, "encode a %s request: %w", kind, err)
		}
		if string(b) != "null" {
			raw = b
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// When the call is over, so is its question.
	defer context.AfterFunc(f.ctx, func() { cancel(context.Cause(f.ctx)) })()
	answer, err := s.request(ctx, f.back, agent.Request{Kind: kind, Params: raw})
	if f != s.owner && s.owner != nil && errors.Is(err, agent.CodeUnavailable) {
		// the caller cannot, but the session's owner may
		return s.request(ctx, s.owner.back, agent.Request{Kind: kind, Params: raw})
	}
	if f == s.owner && inFlight > 1 && errors.Is(err, agent.CodeUnavailable) {
		return nil, s.whoAsks(kind, inFlight)
	}
	return answer, err
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
				string(debug.Stack()))
			raw, err = nil, agent.Errorf(agent.CodeInternal, "the answer to a %s request panicked", r.Kind)
		}
	}()
	raw, err = back.Request(ctx, r)
	if err == nil && len(raw) == 0 {
		err = errors.New("an empty answer")
	}
	return raw, err
}
