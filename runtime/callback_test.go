package runtime_test

import (
	"os"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// circular is a project in which a foreign child and an agent of ours call each other.
func circular(t *testing.T, over string) *project.Config {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kind := "stdio"
	if over == project.OverSSE {
		kind = "sse"
	}
	return &project.Config{Agents: map[string]project.Agent{
		"docs": {Command: []string{exe}, Communicator: over, Env: map[string]string{foreignVar: kind}},
		"far":  {Type: "probe", Config: map[string]any{"peer": "docs"}},
	}}
}

// traces makes the runtime send a span's trace context with each call.
func traces(o *runtime.Options) { o.TracerProvider = sdktrace.NewTracerProvider() }

// A circle through a program that is not ours ends as one of our own agents does, whether the
// program says which call it works on or not.
func TestACircleThroughAForeignChild(t *testing.T) {
	for _, over := range []string{project.OverStdio, project.OverSSE} {
		for _, text := range []string{"", "traced"} {
			t.Run(over+" "+text, func(t *testing.T) {
				t.Parallel()
				cfg := circular(t, over)
				cfg.Defaults.Timeout, cfg.Defaults.MaxInFlight = testkit.Hang, 1
				s := start(t, cfg, nil, traces)
				_, err := agent.Ask[string](s.ctx, "far.circle", note{Text: text})
				if err == nil || !strings.Contains(err.Error(), "17 calls deep, the limit is 16") ||
					!strings.Contains(err.Error(), "(test > far > docs > far > docs > ") {
					t.Error(err)
				}
				if n := s.agentStatus("far").Calls + s.agentStatus("docs").Calls; n != 18 {
					t.Errorf("%d calls were made", n)
				}
			})
		}
	}
}

// What calls in ever more circles does so no longer than the call that it began with.
func TestCirclesEndWithTheirFirstCall(t *testing.T) {
	for _, text := range []string{"", "traced"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			cfg := circular(t, project.OverStdio)
			cfg.Defaults.Timeout = 6 * time.Second
			s := start(t, cfg, nil, traces)
			_, err := agent.Ask[string](s.ctx, "docs.circle", note{Text: text, N: 4})
			if agent.CodeOf(err) != agent.CodeDeadlineExceeded {
				t.Fatal(err)
			}
			answered, made, last := time.Now(), int64(0), time.Now()
			testkit.Eventually(t, "nothing is called any more", func() bool {
				if n := s.agentStatus("docs").Calls + s.agentStatus("far").Calls; n > made {
					made, last = n, time.Now()
				}
				return time.Since(last) > time.Second
			})
			t.Logf("%d calls, the last one %v after the first had ended", made, last.Sub(answered))
		})
	}
}
