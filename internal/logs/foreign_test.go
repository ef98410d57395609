package logs

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestLinesOfPrograms(t *testing.T) {
	for _, c := range []struct {
		line, message string
		level         slog.Level
		attrs         string
	}{
		{`{"time":"2026-11-26T09:00:00Z","level":"WARN","msg":"late","n":3,"b":true}`, "late", slog.LevelWarn,
			"n=3 b=true"},
		{`{"level":30,"time":1,"pid":7,"hostname":"h","msg":"pino"}`, "pino", slog.LevelInfo, "pid=7 hostname=h"},
		{`{"level":50,"msg":"pino"}`, "pino", slog.LevelError, ""},
		{`{"event":"structlog","level":"warning","timestamp":"t"}`, "structlog", slog.LevelWarn, ""},
		{`{"severity":"ERROR","message":"cloud"}`, "cloud", slog.LevelError, ""},
		{`{"level":"info","ts":1.5,"caller":"a.go:1","msg":"zap"}`, "zap", slog.LevelInfo, "caller=a.go:1"},
		{`{"level":"info","a":1}`, `{"level":"info","a":1}`, slog.LevelInfo, ""},
		{`{"broken":`, `{"broken":`, slog.LevelInfo, ""},
		{`time=2026-11-26T09:00:00Z level=WARN msg="a b" n=1`, "a b", slog.LevelWarn, "n=1"},
		{`level=debug msg=x`, "x", slog.LevelDebug, ""},
		{`a=1 b=2`, "a=1 b=2", slog.LevelInfo, ""},
		{"WARNING:root:python", "python", slog.LevelWarn, "logger=root"},
		{"ERROR:mcp.server.lowlevel:python", "python", slog.LevelError, "logger=mcp.server.lowlevel"},
		{"2026-11-26 09:00:00,123 - mcp.server - WARNING - formatted", "formatted", slog.LevelWarn,
			"logger=mcp.server"},
		{"2026-11-26 09:00:00,123 ERROR formatted", "formatted", slog.LevelError, ""},
		{"[11/26/26 09:00:00] INFO     rich", "[11/26/26 09:00:00] INFO     rich", slog.LevelInfo, ""},
		{"INFO:     Uvicorn running on http://127.0.0.1:1", "Uvicorn running on http://127.0.0.1:1", slog.LevelInfo,
			""},
		{"ERROR:    Exception in ASGI application", "Exception in ASGI application", slog.LevelError, ""},
		{"[error] it broke", "it broke", slog.LevelError, ""},
		{"[WARN]: winston", "winston", slog.LevelWarn, ""},
		{"2026-11-26T09:00:00.123Z [info] bracket", "bracket", slog.LevelInfo, ""},
		{"[2026-11-26T09:00:00Z] ERROR: bunyan", "bunyan", slog.LevelError, ""},
		{"2026/11/26 09:00:00 INFO go", "go", slog.LevelInfo, ""},
		{"2026/11/26 09:00:00 a line of package log", "2026/11/26 09:00:00 a line of package log", slog.LevelInfo,
			""},
		{"2026-11-26T09:00:00.5Z  WARN tracing::rust: slow", "tracing::rust: slow", slog.LevelWarn, ""},
		{"error: no such file", "no such file", slog.LevelError, ""},
		{"warning: unused", "unused", slog.LevelWarn, ""},
		{"npm warn deprecated x", "npm warn deprecated x", slog.LevelInfo, ""},
		{"Error handling is nice", "Error handling is nice", slog.LevelInfo, ""},
		{"LOG IN PLEASE", "LOG IN PLEASE", slog.LevelInfo, ""},
		{"12 monkeys", "12 monkeys", slog.LevelInfo, ""},
		{"\x1b[31mERROR\x1b[0m: red", "red", slog.LevelError, ""},
		{"\x1b]0;title\x07hello\x1b[2J", "hello", slog.LevelInfo, ""},
		{"serves on port 1", "serves on port 1", slog.LevelInfo, ""},
		{"", "", slog.LevelInfo, ""},
	} {
		got := ParseLine(c.line)
		var attrs []string
		for _, a := range got.Attrs {
			attrs = append(attrs, fmt.Sprintf("%s=%v", a.Key, a.Value))
		}
		if got.Message != c.message || got.Level != c.level || strings.Join(attrs, " ") != c.attrs {
			t.Errorf("%q\n got  %s %q %v\n want %s %q %v", c.line, got.Level, got.Message, attrs, c.level, c.message,
				c.attrs)
		}
	}
}

// No line costs anything but itself, and none loses its text.
func FuzzParseLine(f *testing.F) {
	for _, s := range []string{`{"level":"info","msg":"x"}`, "level=info msg=x", "ERROR:a:b", "[error] x", "\x1b[31mx",
		"2026-11-26 09:00:00,123 - a - INFO - x", `{"level":`, `a="\`, "INFO"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l := ParseLine(s)
		if l.Message == "" && l.Attrs == nil && strings.IndexFunc(StripColors(s), func(r rune) bool {
			return r > ' ' && r != '\u0085' && r != '\u00a0'
		}) >= 0 && !strings.HasPrefix(s, "{") && !strings.Contains(s, "=") {
			t.Errorf("%q says nothing", s)
		}
		if strings.Contains(Visible(l.Message), "\x1b") {
			t.Errorf("%q steers the terminal", s)
		}
	})
}

// A record is for people what it says, and a line that is none stays.
func TestBrief(t *testing.T) {
	for line, want := range map[string]string{
		"out of memory": "out of memory",
		`{"broken`:      `{"broken`,
		`{"time":"2026-11-26T09:00:00Z","level":"ERROR","msg":"panic in a handler","tool":"t","message":"no \"x\"",` +
			`"duration":0.000045,"stack":"goroutine 1","trace_id":"4b"}`: `ERROR panic in a handler tool=t ` +
			`message="no \"x\"" duration=45µs`,
	} {
		if got := Brief(line); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := Brief(`{"level":"INFO","msg":"` + strings.Repeat("ä", 500) + `"}`); len(got) > maxBrief+3 {
		t.Errorf("%d bytes", len(got))
	}
}
