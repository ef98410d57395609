package runtime_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/rotate"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// keptLines are the lines of the log in the state folder.
func keptLines(t *testing.T, state string) (lines []map[string]any, text string) {
	t.Helper()
	files, err := rotate.Files(filepath.Join(state, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	for line := range strings.Lines(text) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, l)
	}
	return lines, text
}

// The log is kept in files, without secrets, whatever the program shows of it.
func TestTheLogIsKept(t *testing.T) {
	for _, mode := range []runtime.Mode{runtime.ModeServe, runtime.ModePassive} {
		cfg := &project.Config{File: filepath.Join(t.TempDir(), "openmas.yaml"), State: filepath.Join(t.TempDir(), "s"),
			Agents: map[string]project.Agent{"leaky": {Type: "leaky"},
				"far": {URL: "http://127.0.0.1:1/mcp", Token: sesame}}}
		if err := os.WriteFile(cfg.File, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, cfg, agent.Types{"leaky": func() agent.Agent { return leaky{} }}, func(o *runtime.Options) {
			o.Logger, o.Mode = nil, mode
		})
		if _, err := agent.Ask[string](s.ctx, "leaky.fail", note{}); err == nil {
			t.Error("no error")
		}
		s.stop()
		if err := s.wait(); err != nil {
			t.Error(err)
		}
		lines, text := keptLines(t, cfg.State)
		if strings.Contains(text, sesame) {
			t.Errorf("a secret is kept:\n%s", text)
		}
		var messages []string
		for _, l := range lines {
			messages = append(messages, l["msg"].(string))
		}
		all := strings.Join(messages, ",")
		if !strings.Contains(all, "call failed") || !strings.Contains(all, "said ***") ||
			strings.Contains(all, "process ends") != (mode == runtime.ModeServe) {
			t.Errorf("mode %d: %q", mode, messages)
		}
		ignored, err := os.ReadFile(filepath.Join(cfg.State, ".gitignore"))
		if err != nil || string(ignored) != "*\n" {
			t.Errorf("%q, %v", ignored, err)
		}
	}
}
