package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// clientOptions say what a server may ask of us: everything that a caller may answer. Whether the
// caller of the moment does turns out when it is asked.
func (s *Session) clientOptions() *sdk.ClientOptions {
	return &sdk.ClientOptions{
		Logger: s.log,
		// see converse: the SDK does not know who made the call
		MultiRoundTrip: &sdk.MultiRoundTripOptions{Disabled: true},
		Capabilities: &sdk.ClientCapabilities{
			RootsV2:     &sdk.RootCapabilities{},
			Sampling:    &sdk.SamplingCapabilities{},
			Elicitation: &sdk.ElicitationCapabilities{Form: &sdk.FormElicitationCapabilities{}},
		},
		ElicitationHandler: s.elicit, // not in receive: the SDK checks the schema before and the answer after
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			if token, ok := r.Params.ProgressToken.(string); ok {
				s.onProgress(token, agent.ProgressNotice{Progress: r.Params.Progress, Total: r.Params.Total,
					Message: r.Params.Message})
			}
		},
		LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) {
			data, err := json.Marshal(r.Params.Data)
			if err != nil {
				return // cannot happen to what was decoded from JSON
			}
			s.onLog(callIDOf(r.Params.Meta), agent.LogNotice{Level: codec.FromLevel(string(r.Params.Level)),
				Logger: r.Params.Logger, Data: data})
		},
		ResourceUpdatedHandler: func(_ context.Context, r *sdk.ResourceUpdatedNotificationRequest) {
			if s.opts.OnUpdated != nil {
				s.noteUpdate(r.Params.URI)
			}
		},
		ToolListChangedHandler:   func(context.Context, *sdk.ToolListChangedRequest) { s.listChanged(listTools) },
		PromptListChangedHandler: func(context.Context, *sdk.PromptListChangedRequest) { s.listChanged(listPrompts) },
		ResourceListChangedHandler: func(context.Context, *sdk.ResourceListChangedRequest) {
			s.listChanged(listResources)
		},
	}
}

// hook takes the notifications before the SDK, where the connection lets it: there they come before
// the result they belong to, at a thirtieth of the price, and a flood of them is dropped instead of
// queued.
func (s *Session) hook(_ []byte, env *wire.Envelope) bool {
	if s.pending.Deliver(env) {
		return true
	}
	// the SDK keeps lists that it has to forget then
	if env.ID != nil || env.Method == nil || bytes.Contains(env.Params, []byte(sdk.MetaKeySubscriptionID)) {
		return false
	}
	switch string(env.Method) {
	case "notifications/progress":
		var p struct {
			Token json.RawMessage `json:"progressToken"`
			agent.ProgressNotice
		}
		if json.Unmarshal(env.Params, &p) == nil {
			if token, err := strconv.Unquote(string(p.Token)); err == nil {
				s.onProgress(token, p.ProgressNotice)
			}
		}
	case "notifications/message":
		var p struct {
			Meta   map[string]any  `json:"_meta"`
			Level  string          `json:"level"`
			Logger string          `json:"logger"`
			Data   json.RawMessage `json:"data"`
		}
		if json.Unmarshal(env.Params, &p) == nil {
			s.onLog(callIDOf(p.Meta), agent.LogNotice{Level: codec.FromLevel(p.Level), Logger: p.Logger, Data: p.Data})
		}
	case "notifications/tools/list_changed":
		s.listChanged(listTools)
	case "notifications/prompts/list_changed":
		s.listChanged(listPrompts)
	case "notifications/resources/list_changed":
		s.listChanged(listResources)
	case "notifications/resources/updated":
		s.onUpdated(env.Params)
	default:
		return false
	}
	return true
}

func callIDOf(meta map[string]any) string {
	id, _ := meta[codec.MetaID].(string)
	return id
}

// backChannelFor is whom a message of the server concerns: the call that it names (only our own
// servers know the names), the only call there is, or the session's owner. nil: nobody.
func (s *Session) backChannelFor(id string) *backChannel {
	if !s.target.Trusted {
		id = ""
	}
	if f := s.backs.find(id); f != nil || id != "" {
		return f // nil when the call is over
	}
	return s.owner
}

func (s *Session) onProgress(token string, p agent.ProgressNotice) {
	if f := s.backs.byProgress(token); f != nil {
		f.notify(s.log, agent.Notice{Progress: &p})
	}
}

func (s *Session) onLog(id string, l agent.LogNotice) {
	if f := s.backChannelFor(id); f != nil {
		f.notify(s.log, agent.Notice{Log: &l})
		return
	}
	s.log.Debug("the server logs, outside of any call", "level", l.Level, "logger", l.Logger, "data",
		string(l.Data[:min(len(l.Data), 1000)]))
}

// inject passes a message on to the SDK's session over streamable HTTP, whose connection is the
// SDK's own.
func (s *Session) inject(ctx context.Context, msg []byte) error {
	return s.sdk.Ping(context.WithValue(ctx, injectKey{}, string(codec.AppendOneLine(nil, msg))), nil)
}

// flushNotices waits until the notifications that arrived before the answer were handled: behind
// them comes a progress notification, and the SDK handles one after the other.
func (s *Session) flushNotices(ctx context.Context) {
	token, reached, forget := s.backs.mark()
	defer forget()
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if s.inject(ctx, fmt.Appendf(nil,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%q,"progress":1}}`,
		token)) != nil {
		return // the session is over
	}
	select {
	case <-reached:
	case <-ctx.Done():
	}
}

// flushTimeout bounds what never takes long.
const flushTimeout = time.Second

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
			return answerTo(ctx, s, agent.AskSample, r.GetParams(), &res)
		case "roots/list":
			params := r.GetParams()
			if p, ok := params.(*sdk.ListRootsParams); ok && p == nil {
				params = nil // the request has none, which the SDK gives as a pointer
			}
			res := sdk.ListRootsResult{Roots: []*sdk.Root{}}
			return answerTo(ctx, s, agent.AskRoots, params, &res)
		}
		return next(ctx, method, r)
	}
}

func (s *Session) elicit(ctx context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
	var res sdk.ElicitResult
	if _, err := answerTo(ctx, s, agent.AskElicit, r.Params, &res); err != nil {
		return nil, err
	}
	return &res, nil
}

// answerTo passes a question on and decodes the answer into res.
func answerTo[R sdk.Result](ctx context.Context, s *Session, kind string, params sdk.Params, res R) (sdk.Result,
	error) {
	raw, err := s.ask(ctx, kind, params)
	if err == nil {
		if err = json.Unmarshal(raw, res); err != nil {
			err = agent.Errorf(agent.CodeInternal, "the answer to a %s request does not decode: %w", kind, err)
		}
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
	f := s.backChannelFor(id)
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
	return answer, err
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
