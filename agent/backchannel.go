package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
)

// A BackChannel leads from a running call back to whoever made it. Both methods may be used
// concurrently, until the call has been answered.
//
// Some callers cannot be asked while their request waits: MCP clients of protocol 2026-07-28. Their
// call waits between two requests, up to 10 minutes. Where too many wait, a tool that is safe to
// repeat is canceled, and runs again from its start when the answer has come; what it asked before
// then gets the same answer as before. The call's timeout stands still while a question is open.
type BackChannel interface {
	// Notify tells the caller something. It is best effort and does not wait for the caller.
	Notify(ctx context.Context, n Notice)
	// Request asks the caller something and waits for the answer. A caller that cannot answer is an
	// unavailable error.
	Request(ctx context.Context, r Request) (json.RawMessage, error)
}

// ErrAnswersFollow is the cause with which the context of a call ends when its caller was asked
// something, and is to make the call again with the answers. The call has not used its [Call.Key]
// then.
var ErrAnswersFollow = errors.New("the client is asked, and makes the call again with its answer")

// A Notice is one of its members.
type Notice struct {
	Progress *ProgressNotice `json:"progress,omitempty"`
	Log      *LogNotice      `json:"log,omitempty"`
	// Content is a part of the result that is there before the call has ended. The result has it
	// too: a caller that drops notices misses nothing but time.
	Content []Content `json:"content,omitempty"`
}

// ProgressNotice says how far a call has come. Total is 0 when unknown; Progress grows from one
// notice to the next.
type ProgressNotice struct {
	Progress float64 `json:"progress"`
	Total    float64 `json:"total,omitempty"`
	Message  string  `json:"message,omitempty"`
}

// LogNotice is a log line meant for the caller. Data is JSON.
type LogNotice struct {
	Level  slog.Level      `json:"level"`
	Logger string          `json:"logger,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// The kinds of requests to a caller.
const (
	AskSample = "sample" // ask its model: MCP's sampling/createMessage
	AskElicit = "elicit" // ask its user: MCP's elicitation/create
	AskRoots  = "roots"  // ask which folders it works on: MCP's roots/list
)

// A Request is a question to the caller. Params and the answer have the shapes of MCP's requests of
// that kind.
type Request struct {
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params,omitempty"`
}

// Root is a folder or file that the caller works on.
type Root struct {
	URI  string `json:"uri"`
	Name string `json:"name,omitempty"`
}

// BackChannelFuncs is a [BackChannel] made of functions, for programs that call tools. What is nil
// is not offered: notices of it are dropped, requests are unavailable. The functions are called
// concurrently.
type BackChannelFuncs struct {
	OnProgress func(ProgressNotice)
	OnLog      func(LogNotice)
	OnContent  func([]Content)
	Sample     func(context.Context, SampleRequest) (SampleResult, error)
	Elicit     func(context.Context, ElicitRequest) (ElicitResult, error)
	Roots      func(context.Context) ([]Root, error)
}

// Notify implements [BackChannel].
func (h BackChannelFuncs) Notify(_ context.Context, n Notice) {
	if n.Progress != nil && h.OnProgress != nil {
		h.OnProgress(*n.Progress)
	}
	if n.Log != nil && h.OnLog != nil {
		h.OnLog(*n.Log)
	}
	if len(n.Content) > 0 && h.OnContent != nil {
		h.OnContent(n.Content)
	}
}

// Request implements [BackChannel].
func (h BackChannelFuncs) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	switch {
	case r.Kind == AskSample && h.Sample != nil:
		return answer(ctx, r, h.Sample)
	case r.Kind == AskElicit && h.Elicit != nil:
		return answer(ctx, r, h.Elicit)
	case r.Kind == AskRoots && h.Roots != nil:
		roots, err := h.Roots(ctx)
		if err != nil {
			return nil, AsError(err)
		}
		return json.Marshal(rootList{append([]Root{}, roots...)})
	}
	return nil, Errorf(CodeUnavailable, "the caller does not answer %q requests", r.Kind)
}

type rootList struct {
	Roots []Root `json:"roots"`
}

func answer[In, Out any](ctx context.Context, r Request, fn func(context.Context, In) (Out, error)) (json.RawMessage,
	error) {
	var in In
	if err := json.Unmarshal(objectOr(r.Params), &in); err != nil {
		return nil, Errorf(CodeInvalidArgument, "decode a %s request: %w", r.Kind, err)
	}
	out, err := fn(ctx, in)
	if err != nil {
		return nil, AsError(err)
	}
	return json.Marshal(out)
}

// WithBackChannel returns a context in which calls of [Ask] and the like offer back to the callee
// and everything below it. It gets the progress and the content of the calls that are made with
// the context, the log lines of all below them, and their questions.
func WithBackChannel(ctx context.Context, back BackChannel) context.Context {
	f := frame{back: back, chosen: true}
	if old := frameOf(ctx); old != nil {
		f.env, f.call = old.env, old.call
	}
	return context.WithValue(ctx, frameKey{}, &f)
}

// Progress tells the caller of the running tool how far it has come; total is 0 when unknown. It
// does nothing where nobody listens.
func Progress(ctx context.Context, progress, total float64, message string) {
	if f := frameOf(ctx); f != nil && f.back != nil {
		f.back.Notify(ctx, Notice{Progress: &ProgressNotice{Progress: progress, Total: total, Message: message}})
	}
}

// Log sends a log line to the caller of the running tool: to the person at the other end, not to
// the operator's log. data is a string or anything that encodes as JSON.
func Log(ctx context.Context, level slog.Level, data any) {
	f := frameOf(ctx)
	if f == nil || f.back == nil {
		return
	}
	b, err := json.Marshal(data)
	if err != nil {
		f.env.log().WarnContext(ctx, "a log notice does not encode", "error", err)
		return
	}
	f.back.Notify(ctx, Notice{Log: &LogNotice{Level: level, Logger: f.env.Name, Data: b}})
}

// Roots asks whoever called which folders it works on.
func Roots(ctx context.Context) ([]Root, error) {
	l, err := askBack[rootList](ctx, AskRoots, struct{}{})
	return l.Roots, err
}

func askBack[Out any](ctx context.Context, kind string, params any) (out Out, err error) {
	f := frameOf(ctx)
	if f == nil || f.back == nil {
		return out, Errorf(CodeUnavailable, "nobody to ask: the caller does not answer %q requests", kind)
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return out, Errorf(CodeInternal, "encode a %s request: %w", kind, err)
	}
	res, err := f.back.Request(ctx, Request{Kind: kind, Params: raw})
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(res, &out); err != nil {
		return out, Errorf(CodeInternal, "the caller's answer to a %s request does not decode: %w", kind, err)
	}
	return out, nil
}

// offered is the back-channel of a call that is made in the frame.
func (f *frame) offered() BackChannel {
	if f.back == nil || f.chosen {
		return f.back
	}
	return below{f.back}
}

// below is the back-channel of a call that a tool makes in turn. Questions and log lines reach
// whoever made the first call; progress and content are about the call itself and stay here.
type below struct{ outer BackChannel }

func (b below) Notify(ctx context.Context, n Notice) {
	if n.Log != nil {
		b.outer.Notify(ctx, Notice{Log: n.Log})
	}
}

func (b below) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	return b.outer.Request(ctx, r)
}

// watched is a back-channel, or none, with somebody who watches the progress of the call.
type watched struct {
	back     BackChannel
	progress func(ProgressNotice)
}

func (w watched) Notify(ctx context.Context, n Notice) {
	if n.Progress != nil {
		w.progress(*n.Progress)
	}
	if w.back != nil {
		w.back.Notify(ctx, n)
	}
}

func (w watched) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	if w.back == nil {
		return nil, Errorf(CodeUnavailable, "the caller does not answer %q requests", r.Kind)
	}
	return w.back.Request(ctx, r)
}

// callers is the back-channel to all who wait for one call: see [Results]. All of them are told,
// and the one that has waited longest is asked, then the next, until one can answer.
type callers struct {
	mu      sync.Mutex
	waiting []*caller
}

// A caller is one of them. back may be nil.
type caller struct {
	ctx   context.Context
	back  BackChannel
	using sync.WaitGroup // what is being told or asked
	left  chan struct{}  // closed when it waits no longer; if it was the last, the work is canceled before
}

func (l *callers) add(c *caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, c)
}

// remove takes one out, and reports whether it was the last. What it is being told or asked goes on
// for a moment.
func (l *callers) remove(c *caller) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(other *caller) bool { return other == c })
	return len(l.waiting) == 0
}

// end takes all out.
func (l *callers) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = nil
}

// use returns those with a back-channel whose calls have not ended. using must be given up.
func (l *callers) use() (in []*caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.waiting {
		if c.back != nil && c.ctx.Err() == nil {
			c.using.Add(1)
			in = append(in, c)
		}
	}
	return in
}

// useNext is use of the first that was not asked.
func (l *callers) useNext(asked []*caller) *caller {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.waiting {
		if c.back != nil && c.ctx.Err() == nil && !slices.Contains(asked, c) {
			c.using.Add(1)
			return c
		}
	}
	return nil
}

func (l *callers) Notify(ctx context.Context, n Notice) {
	for _, c := range l.use() {
		c.notify(ctx, n)
	}
}

func (c *caller) notify(ctx context.Context, n Notice) {
	defer c.using.Done()
	c.back.Notify(ctx, n)
}

func (l *callers) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	var asked []*caller
	err := error(Errorf(CodeUnavailable, "nobody to ask: the caller does not answer %q requests", r.Kind))
	for {
		next := l.useNext(asked)
		if next == nil {
			return nil, err
		}
		asked = append(asked, next)
		raw, failed := next.request(ctx, r)
		switch code := CodeOf(failed); {
		case failed == nil || ctx.Err() != nil:
			return raw, failed
		case next.ctx.Err() != nil: // it is about to leave
			select {
			case <-next.left:
			case <-ctx.Done():
			}
		case code == CodeUnavailable || code == CodeCanceled: // it cannot answer, or its end is on its way
		default:
			return nil, failed
		}
		err = failed
	}
}

func (c *caller) request(ctx context.Context, r Request) (json.RawMessage, error) {
	defer c.using.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	return c.back.Request(ctx, r)
}
