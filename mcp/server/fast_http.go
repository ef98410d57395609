package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// serveFast serves a POST, to a session or of protocol 2026-07-28, if the fast path takes its
// message. If not, nothing has happened. It is not for sessions whose streams can be resumed: what
// it says is not kept.
func (h *httpServer) serveFast(w http.ResponseWriter, r *http.Request, c *session, body []byte) bool {
	if h.o.NoFastPath || !c.fast.ready() || !c.plainPost(r.Header) {
		return false
	}
	var env wire.Envelope
	scanned := env.Scan(body)
	if scanned && c.fast.questions.Deliver(&env) || !scanned && c.deliverAll(body) {
		w.WriteHeader(http.StatusAccepted)
		return true
	}
	if !scanned {
		return false
	}
	call := c.readFast(&env)
	if call == nil || call.req.round != nil && !call.plainHeaders(r.Header) {
		return false
	}
	// The protocol with sessions does not take a closed connection for a cancellation, but ours do
	// not come back for an answer.
	ctx := withPost(r.Context(), r.Context())
	if call.req.round == nil && !c.identity.Trusted {
		ctx = context.WithoutCancel(ctx)
	}
	if !c.use.begin() {
		noSession(w)
		return true
	}
	defer c.use.end()
	s := &postStream{Context: ctx, w: w, c: c}
	if err := call.start(s, s.event); err != nil {
		twice := errors.Is(err, errDuplicateID)
		if twice { // the SDK, which does not know the first, would say the same
			s.end(call.refusal(nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest,
				Message: fmt.Sprintf("%v %s", err, strings.Trim(call.id, `"`))}), http.StatusBadRequest)
		}
		return twice
	}
	buf := answerBufs.Get().(*[]byte)
	*buf = call.answer((*buf)[:0])
	defer func() { c.memory.Release(call.held) }()
	if call.run.cancelled.Load() {
		s.endUnanswered()
	} else {
		s.end(*buf, call.status)
	}
	if cap(*buf) <= 64<<10 {
		answerBufs.Put(buf)
	}
	return true
}

// deliverAll takes answers to questions of the fast path that are written unusually, or in a batch.
// If there is anything else, the SDK gets it all: it does not know these questions.
func (c *session) deliverAll(body []byte) bool {
	if version, _ := c.protocol(); len(body) > 0 && body[0] == '[' && version >= codec.Version20250618 {
		return false // which has no batches
	}
	some, others := false, false
	wire.Messages(body, func(_ []byte, env *wire.Envelope) {
		ours := c.fast.questions.Deliver(env)
		some, others = some || ours, others || !ours
	}, func([]byte, error) { others = true })
	return some && !others
}

// plainPost reports whether there is nothing about a POST that the SDK has to judge.
func (c *session) plainPost(h http.Header) bool {
	accept, version, media := h["Accept"], h["Mcp-Protocol-Version"], h.Get("Content-Type")
	if media != "application/json" {
		if media, _, _ = mime.ParseMediaType(media); media != "application/json" { // what does not parse is not
			return false
		}
	}
	protocol, _ := c.protocol()
	if c.fast.stateless.Load() {
		protocol = codec.Version20260728
	}
	return len(accept) == 1 && strings.Contains(accept[0], "application/json") &&
		strings.Contains(accept[0], "text/event-stream") &&
		(len(version) == 0 && protocol != codec.Version20260728 || len(version) == 1 && version[0] == protocol) &&
		h["Last-Event-Id"] == nil
}

// postStream is the response to a call on the fast path: one JSON value, unless the call has
// something to say or to ask before. Then it is a stream of events. It is also the call's context,
// where what is sent on the call's behalf finds it.
type postStream struct {
	context.Context
	w  http.ResponseWriter
	c  *session
	mu sync.Mutex
	// streaming: the response has begun, with an event. over: it has ended.
	streaming, over bool
}

type postStreamKey struct{}

// Value implements [context.Context].
func (s *postStream) Value(key any) any {
	if key == (postStreamKey{}) {
		return s
	}
	return s.Context.Value(key)
}

var errPostOver = errors.New("the response to the call has ended")

// event sends a message before the answer.
func (s *postStream) event(_ context.Context, msg []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errPostOver
	}
	if !s.streaming {
		s.streaming = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache, no-transform")
		h.Set("X-Accel-Buffering", "no")
	}
	return s.write(msg)
}

func (s *postStream) write(msg []byte) error {
	const before, after = "event: message\ndata: ", "\n\n"
	b := make([]byte, 0, len(before)+len(msg)+len(after))
	if _, err := s.w.Write(append(append(append(b, before...), msg...), after...)); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// end sends the answer. Once the response is a stream, it has no status of its own any more.
func (s *postStream) end(msg []byte, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	var err error
	if s.streaming {
		err = s.write(msg)
	} else {
		h := s.w.Header()
		h["Content-Type"] = jsonType
		h.Set("Content-Length", strconv.Itoa(len(msg)))
		if status != 0 {
			s.w.WriteHeader(status)
		}
		_, err = s.w.Write(msg)
	}
	if err != nil {
		s.c.ep.o.Logger.Debug("an answer did not reach its client", "session", s.c.id, "error", err)
	}
}

// endUnanswered ends the response as a stream that holds no answer: the client has cancelled the
// call.
func (s *postStream) endUnanswered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over = true; !s.streaming {
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.WriteHeader(http.StatusOK)
	}
}

// sendOnPost is the SDK's middleware for what a session sends. What is JSON already stays. On
// behalf of a call on the fast path it is sent on the response to that call, of which the SDK does
// not know: it would look for another stream, which the client need not have.
func sendOnPost(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		if raw := rawParamsOf(ctx); raw != nil {
			if ss, ok := r.GetSession().(*sdk.ServerSession); ok {
				r = &sdk.ServerRequest[*codec.RawParams]{Session: ss, Params: raw}
			}
		}
		s, _ := ctx.Value(postStreamKey{}).(*postStream)
		if s == nil {
			return next(ctx, method, r)
		}
		var res sdk.Result
		switch method {
		case "elicitation/create":
			res = new(sdk.ElicitResult)
		case "sampling/createMessage":
			res = new(sdk.CreateMessageWithToolsResult)
		case "roots/list":
			res = new(sdk.ListRootsResult)
		default:
			if !strings.HasPrefix(method, "notifications/") {
				return next(ctx, method, r)
			}
			return nil, s.send(ctx, nil, method, r.GetParams())
		}
		if err := s.ask(ctx, method, r.GetParams(), res); err != nil {
			return nil, err
		}
		return res, nil
	}
}

func (s *postStream) send(ctx context.Context, id json.RawMessage, method string, params any) error {
	msg, err := codec.EncodeMessage(id, method, params)
	if err != nil {
		return err
	}
	return s.event(ctx, msg)
}

// ask sends a request and reads its answer, which comes with a POST of its own, into res.
func (s *postStream) ask(ctx context.Context, method string, params, res any) error {
	q := &s.c.fast.questions
	id, answer := q.Begin()
	defer q.End(id)
	if err := s.send(ctx, id.Append(nil), method, params); err != nil {
		return err
	}
	select {
	case a := <-answer:
		if a.Err != nil {
			return a.Err
		}
		return json.Unmarshal(codec.Carry(a.Result), res)
	case <-ctx.Done():
		// if the client still listens
		_ = s.send(ctx, nil, wire.MethodCancelled,
			map[string]any{"requestId": id, "reason": ctx.Err().Error()})
		return ctx.Err()
	}
}

// plainHeaders reports whether a POST's headers say what its message does. There are more of them
// for tools that want their arguments there too.
func (x *fastCall) plainHeaders(h http.Header) bool {
	method, name := h[codec.MethodHeader], h[codec.NameHeader]
	return len(method) == 1 && method[0] == codec.MethodCall && len(name) == 1 && name[0] == x.req.name &&
		name[0] != "" && x.ep.catalog.Load().Heads[name[0]] == nil
}
