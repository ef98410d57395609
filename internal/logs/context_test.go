package logs

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

// inCall runs f in the call of a tool.
func inCall(t *testing.T, f func(context.Context)) {
	t.Helper()
	h, err := agent.NewHost(agent.Env{Name: "geo"}, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("locate", "", func(ctx context.Context, _ struct{}) (string, error) { f(ctx); return "", nil })}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Call(t.Context(), &agent.Call{ID: "c1", Op: agent.OpTool, Agent: "geo", Name: "locate",
		Meta: map[string]string{"traceparent": parent}}); err != nil {
		t.Fatal(err)
	}
}

func TestLinesHaveTheirCall(t *testing.T) {
	const call = "agent=geo tool=locate call=c1 trace_id=0123456789abcdef0123456789abcdef span_id=0123456789abcdef"
	none := func(context.Context) (string, string) { return "", "" }
	own := func(context.Context) (string, string) { return "t", "s" }
	for _, c := range []struct {
		name  string
		trace func(context.Context) (string, string)
		log   func(context.Context, *slog.Logger)
		want  string
	}{
		{"plain", none, func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "x", "n", 1) }, "n=1 " + call},
		{"a span", own, func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "x") },
			"agent=geo tool=locate call=c1 trace_id=t span_id=s"},
		{"without a context", none, func(_ context.Context, l *slog.Logger) { l.Info("x", "n", 1) }, "n=1"},
		{"what the line has", none, func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "x", "call", "c2") },
			"call=c2 " + strings.Replace(call, "call=c1 ", "", 1)},
		{"what the logger has", none, func(ctx context.Context, l *slog.Logger) {
			l.With("agent", "other").InfoContext(ctx, "x")
		}, "agent=other " + strings.TrimPrefix(call, "agent=geo ")},
		{"groups", none, func(ctx context.Context, l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").InfoContext(ctx, "x", "agent", 3)
		}, "a=1 " + call + " g.b=2 g.h.agent=3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			l := slog.New(WithContext(slog.NewTextHandler(&b, nil), c.trace))
			inCall(t, func(ctx context.Context) { c.log(ctx, l) })
			_, got, _ := strings.Cut(strings.TrimSpace(b.String()), "msg=x ")
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTraceparent(t *testing.T) {
	for in, want := range map[string]bool{
		parent: true, "": false, "00": false, parent[:50]: false,
		"00-00000000000000000000000000000000-0123456789abcdef-01":       false,
		"00-0123456789abcdef0123456789abcdef-0000000000000000-01":       false,
		"00-0123456789ABCDEF0123456789ABCDEF-0123456789abcdef-01":       false,
		"01-0123456789abcdef0123456789abcdef-0123456789abcdef-01-later": true,
	} {
		if id, _ := Traceparent(in); (id != "") != want {
			t.Errorf("%q: %q", in, id)
		}
	}
}

func TestLevels(t *testing.T) {
	for in, want := range map[string]slog.Level{"trace": LevelTrace, "TRACE": LevelTrace, "debug": slog.LevelDebug,
		"Info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
		if got, err := ParseLevel(in); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("loud is a level")
	}
	if LevelName(LevelTrace) != "TRACE" || LevelName(slog.LevelInfo) != "INFO" {
		t.Error(LevelName(LevelTrace))
	}
}

func TestQuieter(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(Quieter(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}), LevelTrace,
		"calling notifications/"))
	l.Info("a session has begun")
	l.With("a", 1).WithGroup("g").Debug("more")
	l.With("a", 1).Warn("calling notifications/tools/list_changed: nobody")
	if b.Len() > 0 {
		t.Errorf("logged: %s", b.String())
	}
	if l.Warn("look"); !strings.Contains(b.String(), "level=WARN") {
		t.Errorf("a warning is gone: %s", b.String())
	}
}
