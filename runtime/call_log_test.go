package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// lines are the JSON lines of a log from the given level on, without those of the start.
func lines(t *testing.T, log *testkit.Buffer, from slog.Level, match func(map[string]any) bool) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(log.String()) {
		var rec map[string]any
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("no JSON: %s", line)
		}
		var level slog.Level
		if err := level.UnmarshalText([]byte(rec["level"].(string))); err != nil {
			t.Fatal(err)
		}
		if level >= from && match(rec) {
			out = append(out, rec)
		}
	}
	return out
}

func failed(rec map[string]any) bool { return rec["code"] != nil }

func inJSON(log *testkit.Buffer) func(*runtime.Options) {
	return func(o *runtime.Options) {
		o.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// A call that fails has one line, wherever its agent lives, and those above it have none.
func TestFailedCallsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			log := &testkit.Buffer{}
			s := start(t, pair(over), nil, inJSON(log))
			for _, c := range []struct {
				tool  string
				in    any
				want  map[string]any
				limit time.Duration
			}{
				{tool: "far.fail", want: map[string]any{"level": "INFO", "agent": "far", "tool": "fail",
					"caller": "test",
					"code":   "tool_failed", "message": "as told"}},
				{tool: "far.say", in: map[string]any{"txt": 1}, want: map[string]any{"level": "INFO",
					"code": "invalid_argument"}},
				{tool: "far.panic", want: map[string]any{"level": "ERROR", "agent": "far", "tool": "panic",
					"code": "internal", "message": "far.panic panicked: as told"}},
				{tool: "far.sey", want: map[string]any{"level": "WARN", "agent": "far", "tool": "sey",
					"code": "not_found", "hint": `did you mean "say"?`}},
				{tool: "fra.say", want: map[string]any{"level": "WARN", "agent": "fra", "tool": "say",
					"code": "not_found", "hint": `did you mean "far"?`}},
				{tool: "near.relay-fail", want: map[string]any{"level": "INFO", "agent": "far", "tool": "fail",
					"caller": "near", "message": "as told"}},
				{tool: "far.relay-fail", want: map[string]any{"level": "INFO", "agent": "near", "tool": "fail",
					"caller": "far", "message": "as told"}},
				{tool: "far.slow", in: note{N: int(hang.Milliseconds())}, limit: 100 * time.Millisecond,
					want: map[string]any{"level": "WARN", "agent": "far", "tool": "slow",
						"code": "deadline_exceeded"}},
			} {
				ctx, cancel := s.ctx, func() {}
				if c.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.limit)
				}
				before := len(lines(t, log, slog.LevelInfo, failed))
				_, err := agent.Ask[any](ctx, c.tool, c.in)
				cancel()
				if err == nil {
					t.Fatalf("%s did not fail", c.tool)
				}
				// What a child writes comes on a pipe of its own.
				testkit.Eventually(t, "a line about "+c.tool, func() bool {
					return len(lines(t, log, slog.LevelInfo, failed)) > before
				}, log)
				got := lines(t, log, slog.LevelInfo, failed)[before:]
				for key, want := range c.want {
					message, _ := got[0]["message"].(string)
					if key == "hint" && strings.HasSuffix(message, want.(string)) {
						continue // an error that says it already needs no hint
					}
					if got[0][key] != want {
						t.Errorf("%s: %s is %v, want %v: %v", c.tool, key, got[0][key], want, got[0])
					}
				}
				if got[0]["call"] == nil || got[0]["attempts"] == nil && got[0]["stack"] == nil {
					t.Errorf("%s: %v", c.tool, got[0])
				}
			}
			s.stop()
			if err := s.wait(); err != nil {
				t.Fatal(err)
			}
			if all := lines(t, log, slog.LevelInfo, failed); len(all) != 8 {
				t.Errorf("%d lines for 8 calls that failed:\n%v", len(all), all)
			}
			above := lines(t, log, slog.LevelDebug, func(rec map[string]any) bool {
				return failed(rec) && rec["tool"] == "relay-fail" && rec["level"] == "DEBUG"
			})
			if len(above) < 2 {
				t.Errorf("%d lines at debug about callers above: %v", len(above), above)
			}
		})
	}
}

// What an agent logs in a call says of which.
func TestLinesOfAgentsSayOfWhichCall(t *testing.T) {
	t.Parallel()
	const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			log := &testkit.Buffer{}
			s := start(t, pair(over), nil, inJSON(log))
			call := agent.Call{Op: agent.OpTool, Agent: "far", Name: "note",
				Meta: map[string]string{"traceparent": parent}}
			if _, err := agent.Do(s.ctx, call, note{Text: "a word"}); err != nil {
				t.Fatal(err)
			}
			word := func(rec map[string]any) bool { return rec["msg"] == "a word" }
			testkit.Eventually(t, "the line", func() bool { return len(lines(t, log, slog.LevelInfo, word)) == 1 }, log)
			rec := lines(t, log, slog.LevelInfo, word)[0]
			made := lines(t, log, slog.LevelDebug, func(rec map[string]any) bool { return rec["msg"] == "call" })
			if len(made) != 1 || made[0]["call"] == "" || made[0]["call"] != rec["call"] {
				t.Errorf("the call: %v", made)
			}
			for key, want := range map[string]string{"agent": "far", "tool": "note",
				"trace_id": "0123456789abcdef0123456789abcdef", "span_id": "0123456789abcdef"} {
				if rec[key] != want {
					t.Errorf("%s is %v, want %s: %v", key, rec[key], want, rec)
				}
			}
		})
	}
}

// An agent that is gone is one line.
func TestLinesOfAttempts(t *testing.T) {
	testkit.Processes(t)
	t.Parallel()
	log := &testkit.Buffer{}
	cfg := pair(project.OverStdio)
	s := start(t, cfg, nil, inJSON(log))
	if _, err := agent.Ask[string](s.ctx, "far.exit", nil); err == nil {
		t.Fatal("the process that ended has answered")
	}
	got := lines(t, log, slog.LevelInfo, failed)
	if len(got) != 1 || got[0]["code"] != "outcome_unknown" || got[0]["level"] != "WARN" {
		t.Errorf("%v", got)
	}
}

// A retry that helped has a line, with why it was needed and the trace that shows it.
func TestARetryThatHelpedHasALine(t *testing.T) {
	testkit.Processes(t)
	t.Parallel()
	log := &testkit.Buffer{}
	cfg := pair(project.OverStdio)
	idempotent := true
	far := cfg.Agents["far"]
	far.Tools = map[string]project.Policy{"exit-once": {Idempotent: &idempotent}}
	cfg.Agents["far"] = far
	s := start(t, cfg, nil, inJSON(log))
	call := agent.Call{Op: agent.OpTool, Agent: "far", Name: "exit-once",
		Meta: map[string]string{"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}}
	if _, err := agent.Do(s.ctx, call, note{Text: filepath.Join(t.TempDir(), "was-here")}); err != nil {
		t.Fatal(err, log)
	}
	got := lines(t, log, slog.LevelInfo, func(rec map[string]any) bool {
		return rec["msg"] == "call succeeded after a retry"
	})
	if len(got) != 1 || got[0]["level"] != "INFO" || got[0]["agent"] != "far" || got[0]["tool"] != "exit-once" ||
		got[0]["attempts"] != 2.0 || got[0]["first_code"] != "outcome_unknown" ||
		!strings.Contains(fmt.Sprint(got[0]["first_message"]), "sent") || got[0]["call"] == nil {
		t.Errorf("%v in\n%s", got, log)
	}
}

// A client's call to what is not there has its line too.
func TestRefusedRequestsAreLogged(t *testing.T) {
	t.Parallel()
	log := &testkit.Buffer{}
	cfg := pair(project.OverLocal)
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
	s := start(t, cfg, nil, inJSON(log))
	for _, path := range []string{"/sse", "/mcp"} {
		before := len(lines(t, log, slog.LevelInfo, failed))
		_, err := s.session(t, path).Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "far_sey", ID: "c1",
			Input: []byte(`{}`)})
		if err == nil {
			t.Fatal("the call did not fail")
		}
		got := lines(t, log, slog.LevelInfo, failed)[before:]
		if len(got) != 1 || got[0]["tool"] != "far_sey" ||
			got[0]["message"] != `unknown tool "far_sey"; did you mean "far_say"?` ||
			got[0]["code"] != "not_found" || got[0]["caller"] != "anonymous" {
			t.Errorf("%s: %v", path, got)
		}
	}
}
