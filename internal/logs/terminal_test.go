package logs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// at gives each line the same time.
func at(h slog.Handler, level slog.Level, msg string, attrs ...slog.Attr) error {
	r := slog.NewRecord(time.Date(2026, 11, 26, 9, 0, 1, 2e6, time.UTC), level, msg, 0)
	r.AddAttrs(attrs...)
	return h.Handle(nil, r) //nolint:staticcheck // no handler here looks at it
}

func TestTerminal(t *testing.T) {
	var b bytes.Buffer
	h := NewTerminal(&b, LevelTrace, false)
	own := h.WithAttrs([]slog.Attr{slog.String("agent", "geo")})
	_ = at(own, slog.LevelInfo, "located", slog.Int("n", 1), slog.String("what", "a b"), slog.Duration("took", 1500000))
	_ = at(own.WithGroup("g").WithAttrs([]slog.Attr{slog.Int("a", 1)}), LevelTrace, "inside",
		slog.Group("h", slog.Bool("b", true)))
	_ = at(h, slog.LevelError, "panic", slog.String("stack", "goroutine 1:\n\tmain.go:1\n"),
		slog.String("code", "internal"))
	_ = at(h, slog.LevelWarn, "evil \x1b[2J\x07", slog.String("k\x1b", "\x1b]0;x\x07\u202e"),
		slog.String("block", "a\x1b[1m\nb"))
	_ = at(h, slog.LevelInfo, "one\ntwo")
	want := `09:00:01.002 INFO  geo located n=1 what="a b" took=1.5ms
09:00:01.002 TRACE geo inside g.a=1 g.h.b=true
09:00:01.002 ERROR panic code=internal
    stack:
    goroutine 1:
        main.go:1
09:00:01.002 WARN  evil \x1b[2J\a k\x1b=\x1b]0;x\a\u202e
    block:
    a\x1b[1m
    b
09:00:01.002 INFO  one
    two
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTerminalInColor(t *testing.T) {
	var b bytes.Buffer
	h := NewTerminal(&b, slog.LevelInfo, true)
	_ = at(h, slog.LevelError, "x", slog.String("agent", "geo"))
	if got := b.String(); !strings.Contains(got, "\x1b[1m\x1b[31mERROR\x1b[0m") ||
		!strings.Contains(got, "mgeo\x1b[0m x\n") {
		t.Errorf("%q", got)
	}
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{{nil, true}, {map[string]string{"NO_COLOR": "1"}, false}, {map[string]string{"CLICOLOR": "0"}, false},
		{map[string]string{"TERM": "dumb"}, false}, {map[string]string{"TERM": "xterm", "CLICOLOR": "1"}, true}} {
		if got := Colors(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

func TestJSONAndLogfmt(t *testing.T) {
	var b bytes.Buffer
	for _, h := range []slog.Handler{NewJSON(&b, LevelTrace), NewLogfmt(&b, LevelTrace)} {
		_ = at(h, LevelTrace, "x\n", slog.Duration("took", 1500*time.Millisecond))
	}
	want := `{"time":"2026-11-26T09:00:01.002Z","level":"TRACE","msg":"x\n","took":1.5}
time=09:00:01.002 level=TRACE msg="x\n" took=1.5s
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

// Durations of other processes are numbers in seconds; they are written as people do.
func TestLogfmtNumbers(t *testing.T) {
	var b strings.Builder
	slog.New(NewLogfmt(&b, slog.LevelInfo)).Info("x", "duration", 2.3e-05, "n", 1e6, "large", 1e300)
	if got := b.String(); !strings.Contains(got, "duration=0.000023 n=1000000 large=1e+300") {
		t.Error(got)
	}
}
