package logs

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
)

// The keys that a line gets from its context.
const (
	keyAgent, keyCall, keyTrace, keySpan = "agent", "call", "trace_id", "span_id"
)

// WithContext returns a handler that adds to each line the agent and the call that its context
// belongs to: agent, tool (or prompt, resource, event), call, trace_id and span_id. What the line
// has already is not added. trace returns the ids of the span in a context, empty without one; the
// ids of the trace that the call brought along stand in for them.
func WithContext(next slog.Handler, trace func(context.Context) (traceID, spanID string)) slog.Handler {
	return &contextual{next: next, top: next, trace: trace}
}

type contextual struct {
	// next is top with groups, and what is in them; ctx's attributes belong above the groups.
	next, top slog.Handler
	groups    []func(slog.Handler) slog.Handler
	has       []string // keys at the top that the logger has already
	trace     func(context.Context) (string, string)
}

// Enabled implements slog.Handler.
func (h *contextual) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *contextual) Handle(ctx context.Context, r slog.Record) error {
	var room [5]slog.Attr
	attrs := h.attrs(ctx, room[:0])
	if len(attrs) == 0 {
		return h.next.Handle(ctx, r)
	}
	if h.groups == nil {
		r.Attrs(func(a slog.Attr) bool {
			attrs = slices.DeleteFunc(attrs, func(own slog.Attr) bool { return own.Key == a.Key })
			return len(attrs) > 0
		})
		r = r.Clone()
		r.AddAttrs(attrs...)
		return h.next.Handle(ctx, r)
	}
	next := h.top.WithAttrs(attrs)
	for _, group := range h.groups {
		next = group(next)
	}
	return next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *contextual) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	out.next = h.next.WithAttrs(attrs)
	if h.groups != nil {
		out.groups = append(h.groups[:len(h.groups):len(h.groups)],
			func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
		return &out
	}
	out.top, out.has = out.next, slices.Clone(h.has)
	for _, a := range attrs {
		out.has = append(out.has, a.Key)
	}
	return &out
}

// WithGroup implements slog.Handler.
func (h *contextual) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	out := *h
	out.next = h.next.WithGroup(name)
	out.groups = append(h.groups[:len(h.groups):len(h.groups)],
		func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
	return &out
}

// attrs appends to out what ctx says.
func (h *contextual) attrs(ctx context.Context, out []slog.Attr) []slog.Attr {
	add := func(key, value string) {
		if value != "" && !slices.Contains(h.has, key) {
			out = append(out, slog.String(key, value))
		}
	}
	traceID, spanID := h.trace(ctx)
	if env, ok := agent.EnvFrom(ctx); ok {
		add(keyAgent, env.Name)
		if c := agent.CallFrom(ctx); c != nil {
			add(string(c.Op), c.Name)
			add(keyCall, c.ID)
			if traceID == "" {
				traceID, spanID = Traceparent(c.Meta["traceparent"])
			}
		}
	}
	add(keyTrace, traceID)
	add(keySpan, spanID)
	return out
}

// Traceparent returns the ids in a W3C traceparent; both are empty when it is malformed.
func Traceparent(s string) (traceID, spanID string) {
	// version-traceid-parentid-flags, each in lower-case hexadecimal digits
	part := strings.Split(s, "-")
	if len(part) < 4 || len(part[1]) != 32 || len(part[2]) != 16 || !isHex(part[1]) || !isHex(part[2]) {
		return "", ""
	}
	return part[1], part[2]
}

func isHex(s string) bool {
	return strings.Trim(s, "0") != "" && strings.Trim(s, "0123456789abcdef") == ""
}
