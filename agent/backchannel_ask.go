package agent

import (
	"context"
	"encoding/json"
	"log/slog"
)

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

type rootList struct {
	Roots []Root `json:"roots"`
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
