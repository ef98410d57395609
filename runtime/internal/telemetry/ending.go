package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/stack"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

const (
	maxMessage = 4 << 10  // bytes of an error's message
	maxStack   = 16 << 10 // bytes of a panic's stack
	maxContent = 16 << 10 // bytes of the arguments, and of the result
)

// An ending is how a span ends.
type ending struct {
	span     trace.Span
	callee   bool // it is the callee's
	entry    bool // see [Hop.Entry]
	panicked bool
	err      error
	res      *agent.Result
	sent     *calls.Request // what carried the call; nil: nobody says it
}

// finish makes the call and ends its span, after a panic too.
func (t *Telemetry) finish(ctx context.Context, e ending, c *agent.Call, next agent.Caller) (*agent.Result, error) {
	if t.content == ContentAll && len(c.Input) > 0 {
		e.span.SetAttributes(attribute.String("gen_ai.tool.call.arguments", t.text(string(c.Input), maxContent)))
	}
	e.panicked = true
	defer func() { t.end(ctx, e) }()
	e.res, e.err = next.Call(ctx, c)
	e.panicked = false
	if e.err != nil && e.entry {
		e.err = named(ctx, e.err)
	}
	return e.res, e.err
}

// end ends a span.
func (t *Telemetry) end(ctx context.Context, e ending) {
	defer e.span.End()
	if !e.span.IsRecording() {
		return
	}
	if e.sent != nil {
		e.span.SetAttributes(requestAttributes(e.sent, "server")...)
	}
	if at, ok := ctx.Deadline(); ok && e.callee {
		if late := time.Since(at); late > 0 { // the tool went on, or ended with its deadline
			e.span.SetAttributes(attribute.Float64("openmas.deadline.overrun", late.Seconds()))
		}
	}
	switch {
	case e.panicked:
		t.fail(e, agent.Errorf(agent.CodeInternal, "a panic"), stack.OfPanic())
	case e.err != nil:
		var panicked interface{ Stack() string }
		where := ""
		if e.callee && errors.As(e.err, &panicked) {
			where = panicked.Stack()
		}
		t.fail(e, agent.AsError(e.err), where)
	case e.res != nil:
		size, text := content(e.res)
		e.span.SetAttributes(attribute.Int("openmas.response.size", size))
		if t.content == ContentAll {
			e.span.SetAttributes(attribute.String("gen_ai.tool.call.result", t.text(text, maxContent)))
		}
	}
}

// fail notes an error. By the conventions, a request that is wrong is no error of the callee.
func (t *Telemetry) fail(e ending, err *agent.Error, stack string) {
	code := string(err.Code)
	e.span.SetAttributes(attribute.String("openmas.code", code))
	if errors.Is(err, resilience.ErrOpen) {
		e.span.SetAttributes(attribute.String("openmas.breaker", string(resilience.BreakerOpen)))
	}
	kind := code
	if err.Code == agent.CodeToolFailed {
		kind = "tool_error"
	}
	message := ""
	if t.content != ContentNone {
		message = t.text(err.Message, maxMessage)
		attrs := []attribute.KeyValue{attribute.String("exception.type", kind),
			attribute.String("exception.message", message)}
		if stack != "" {
			attrs = append(attrs, attribute.String("exception.stacktrace", t.text(stack, maxStack)))
		}
		e.span.AddEvent("exception", trace.WithAttributes(attrs...))
	}
	if e.callee && (err.Code == agent.CodeInvalidArgument || err.Code == agent.CodeNotFound ||
		err.Code == agent.CodeUnimplemented) {
		return
	}
	e.span.SetAttributes(attribute.String("error.type", kind))
	e.span.SetStatus(codes.Error, message)
}

// text is content as it may leave the process: without the secrets of the project, n bytes of it.
func (t *Telemetry) text(s string, n int) string {
	if t.mask != nil {
		s = t.mask(s)
	}
	if len(s) > n {
		return cut(s, n) + fmt.Sprintf(" … (%d bytes)", len(s))
	}
	return cut(s, n)
}

// content is how many bytes a result has, and what it says.
func content(r *agent.Result) (size int, text string) {
	if len(r.Raw) > 0 {
		return len(r.Raw), string(r.Raw)
	}
	size = len(r.Structured)
	for _, c := range r.Content {
		size += len(c.Text) + len(c.Data)
		if c.Resource != nil {
			size += len(c.Resource.Text) + len(c.Resource.Blob)
		}
	}
	if len(r.Structured) > 0 {
		return size, string(r.Structured)
	}
	return size, r.Text()
}
