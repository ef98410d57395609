package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/agent"
)

// maxRecorded bounds what a span records of a conversation.
const maxRecorded = 16 << 10

// tracer makes spans below that of the call in ctx, in the same trace and of the same service.
func tracer(ctx context.Context) trace.Tracer {
	return trace.SpanFromContext(ctx).TracerProvider().Tracer("assistant")
}

// A chatSpan is the span of one turn of the model, as OpenTelemetry's conventions for generative AI
// have it.
type chatSpan struct {
	trace.Span
	began  time.Time
	record bool
}

// beginChat begins the span of a turn. record: with what the model is asked and answers.
func beginChat(ctx context.Context, baseURL, model string, record bool, messages []message) (context.Context,
	*chatSpan) {
	attrs := []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", "openai"), // the protocol; the server may be anybody's
		attribute.String("gen_ai.request.model", model),
		attribute.Bool("gen_ai.request.stream", true),
	}
	if u, err := url.Parse(baseURL); err == nil {
		attrs = append(attrs, attribute.String("server.address", u.Hostname()))
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			port = map[string]int{"http": 80, "https": 443}[u.Scheme]
		}
		attrs = append(attrs, attribute.Int("server.port", port))
	}
	ctx, span := tracer(ctx).Start(ctx, "chat "+model, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attrs...))
	s := &chatSpan{Span: span, began: time.Now(), record: record && span.IsRecording()}
	if s.record {
		s.content("gen_ai.input.messages", messages, "")
	}
	return ctx, s
}

// firstChunk is a function that notes how long the first words took, once.
func (s *chatSpan) firstChunk() func() {
	done := false
	return func() {
		if !done {
			done = true
			s.SetAttributes(attribute.Float64("gen_ai.response.time_to_first_chunk", time.Since(s.began).Seconds()))
		}
	}
}

// end ends the span with what came of the turn.
func (s *chatSpan) end(a answer, err error) {
	defer s.End()
	if a.id != "" {
		s.SetAttributes(attribute.String("gen_ai.response.id", a.id),
			attribute.String("gen_ai.response.model", a.model))
	}
	if a.finish != "" {
		s.SetAttributes(attribute.StringSlice("gen_ai.response.finish_reasons", []string{a.finish}))
	}
	if a.tokens > 0 {
		s.SetAttributes(attribute.Int("gen_ai.usage.input_tokens", a.in),
			attribute.Int("gen_ai.usage.output_tokens", a.out))
	}
	if s.record {
		s.content("gen_ai.output.messages", []message{a.message}, a.finish)
	}
	if err != nil {
		s.SetAttributes(attribute.String("error.type", string(agent.CodeOf(err))))
		s.SetStatus(codes.Error, err.Error())
	}
}

// approval begins the span of a question to the user. The function that it returns ends it.
func approval(ctx context.Context, target string) (context.Context, func(error)) {
	ctx, span := tracer(ctx).Start(ctx, "approve "+target, trace.WithAttributes(
		attribute.String("gen_ai.tool.name", target)))
	return ctx, func(err error) {
		verdict := "approved"
		if err != nil {
			verdict = string(agent.CodeOf(err))
		}
		span.SetAttributes(attribute.String("openmas.approval", verdict))
		span.End()
	}
}

// A turn is a message as the conventions write it.
type turn struct {
	Role   string `json:"role"`
	Parts  []part `json:"parts"`
	Finish string `json:"finish_reason,omitempty"`
}

type part struct {
	Type      string `json:"type"`
	Content   string `json:"content,omitempty"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments any    `json:"arguments,omitempty"`
	Response  string `json:"response,omitempty"`
}

// content records messages.
func (s *chatSpan) content(key string, messages []message, finish string) {
	turns := make([]turn, len(messages))
	for i, m := range messages {
		parts := []part{}
		switch {
		case m.ToolCallID != "":
			parts = append(parts, part{Type: "tool_call_response", ID: m.ToolCallID, Response: m.Content})
		case m.Content != "":
			parts = append(parts, part{Type: "text", Content: m.Content})
		}
		for _, c := range m.ToolCalls {
			var args any = c.Function.Arguments
			if isObject(json.RawMessage(c.Function.Arguments)) {
				args = json.RawMessage(c.Function.Arguments)
			}
			parts = append(parts, part{Type: "tool_call", ID: c.ID, Name: c.Function.Name, Arguments: args})
		}
		turns[i] = turn{Role: m.Role, Parts: parts, Finish: finish}
	}
	text, err := json.Marshal(turns)
	if err != nil {
		text = []byte(err.Error())
	}
	s.SetAttributes(attribute.String(key, cut(string(text), maxRecorded)))
}
