package runtime_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	logscollector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

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

// With telemetry.logs, the lines of the log are at the receiver: without secrets, each at its
// agent's service, and in the trace of the call.
func TestTheLogIsSent(t *testing.T) {
	type sent struct{ service, body, trace string }
	var mu sync.Mutex
	var got []sent
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		m := &logscollector.ExportLogsServiceRequest{}
		if err != nil || r.URL.Path != "/v1/logs" || proto.Unmarshal(body, m) != nil {
			return // spans
		}
		mu.Lock()
		defer mu.Unlock()
		for _, from := range m.ResourceLogs {
			var service string
			for _, a := range from.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, scope := range from.ScopeLogs {
				for _, l := range scope.LogRecords {
					got = append(got, sent{service, l.Body.GetStringValue(), hex.EncodeToString(l.TraceId)})
				}
			}
		}
	}))
	defer web.Close()
	cfg := &project.Config{Agents: map[string]project.Agent{"leaky": {Type: "leaky"},
		"far": {URL: "http://127.0.0.1:1/mcp", Token: sesame}},
		Telemetry: project.Telemetry{Endpoint: web.URL, Logs: true}}
	s := start(t, cfg, agent.Types{"leaky": func() agent.Agent { return leaky{} }})
	if _, err := agent.Ask[string](s.ctx, "leaky.fail", note{}); err == nil {
		t.Error("no error")
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	byBody := map[string]sent{}
	for _, l := range got {
		byBody[l.body] = l
		if strings.Contains(l.body, sesame) {
			t.Errorf("a secret was sent: %+v", l)
		}
	}
	said, failed := byBody["said ***"], byBody["call failed"]
	if said.service != "leaky" || failed.service != "leaky" || len(said.trace) != 32 || said.trace != failed.trace {
		t.Errorf("%+v, %+v", said, failed)
	}
	if end := byBody["stopped"]; end.service != "openmas" {
		t.Errorf("the last line: %+v", end)
	}
}
