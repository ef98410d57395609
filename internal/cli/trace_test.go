//go:build unix

package cli

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
)

const traced = `project: crew
agents:
  greeter: {type: greeter, communicator: mcp-stdio, config: {greeting: Hi}}
  host: {type: host}
telemetry: {recent: 1MiB}
`

// A call that failed leads to its trace, over processes, whether the system runs, was killed, or
// was started for the call.
func TestTrace(t *testing.T) {
	testkit.Processes(t)
	path := projectFile(t, traced)
	p := program(t, io.Discard, "run", path)
	p.start()
	testkit.Eventually(t, "the system answers", func() bool {
		return run(t, "", "status", "-p", path).code == exitOK
	})
	follow(t, path)
	p.signal(syscall.SIGKILL)
	<-p.ended
	follow(t, path) // one that starts the system
	r := run(t, "", "trace", "--failed", "-p", path)
	if r.code != exitOK || strings.Count(r.out, "invalid_argument") != 2 {
		t.Errorf("trace --failed: %+v", r)
	}
	if r := run(t, "", "trace", "0123", "-p", path); r.code != exitFailed || !strings.Contains(r.err, "no trace 0123") {
		t.Errorf("trace of nothing: %+v", r)
	}
	r = run(t, "", "trace", "--last", "--json", "-p", path)
	var all []struct{ Spans []struct{ Name string } }
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all) != 1 || len(all[0].Spans) < 2 {
		t.Errorf("trace --json: %+v, %v", r, err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".openmas", "*", "traces", "*.jsonl"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	if r := run(t, "", "trace", files[0]); r.code != exitOK || !strings.Contains(r.out, "greeter.greet") {
		t.Errorf("trace FILE: %+v", r)
	}
	if err := os.WriteFile(files[0], []byte("no JSON\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "", "trace", files[0]); r.code != exitUsage || !strings.Contains(r.err, "line 1 is no OTLP") {
		t.Errorf("trace of no trace: %+v", r)
	}
}

// follow makes a call that fails, and looks at the trace that its error names.
func follow(t *testing.T, path string) {
	t.Helper()
	r := run(t, "", "call", "greeter.greet", `{"name": 7}`, "-p", path)
	m := regexp.MustCompile(`openmas trace ([0-9a-f]{32})`).FindStringSubmatch(r.err)
	if r.code != exitFailed || m == nil {
		t.Fatalf("call: %+v", r)
	}
	testkit.Eventually(t, "the whole trace is there", func() bool {
		r := run(t, "", "trace", m[1][:12], "-p", path)
		return r.code == exitOK && strings.Contains(r.out, "✗ invalid_argument: ") &&
			strings.Contains(r.out, "greeter.greet")
	})
}

// An error of a system elsewhere names its trace too, and a request that became no call has one.
func TestTraceOfURL(t *testing.T) {
	path := projectFile(t, "agents: {greeter: {type: greeter}}\ntelemetry: {recent: 1MiB}")
	s := serve(t, path)
	named := regexp.MustCompile(`openmas trace ([0-9a-f]{32}) shows where(.*)`)
	for tool, code := range map[string]string{"greeter.greet": "invalid_argument", "greeter.gret": "not_found"} {
		t.Chdir(t.TempDir())
		r := run(t, "", "call", tool, `{"name": 7}`, "--url", s.url)
		m := named.FindStringSubmatch(r.err)
		if r.code != exitFailed || m == nil || !strings.Contains(m[2], "in the folder of its project") {
			t.Fatalf("call: %+v", r)
		}
		t.Chdir(filepath.Dir(path))
		r = run(t, "", "call", tool, `{"name": 7}`, "--url", s.url)
		if m = named.FindStringSubmatch(r.err); m == nil || m[2] != "" {
			t.Fatalf("call in the folder: %+v", r)
		}
		testkit.Eventually(t, "the whole trace is there", func() bool {
			r := run(t, "", "trace", m[1][:12])
			return r.code == exitOK && strings.Contains(r.out, "✗ "+code)
		})
		if r := run(t, "", "trace", "--failed", "--last"); r.code != exitOK || !strings.Contains(r.out, m[1]) {
			t.Errorf("trace --failed --last: %+v", r)
		}
	}
}

// Without traces an error says how to turn them on.
func TestWithoutTraces(t *testing.T) {
	path := projectFile(t, "agents: {greeter: {type: greeter}}")
	r := run(t, "", "call", "greeter.greet", "-p", path)
	if r.code != exitFailed || !strings.Contains(r.err, "telemetry: {recent: 64MiB}") ||
		!strings.Contains(r.err, "openmas logs --failed") {
		t.Errorf("%+v", r)
	}
	r = run(t, "", "call", "greter.greet", "-p", path) // a name that no trace would help with
	if r.code != exitFailed || strings.Contains(r.err, "telemetry") ||
		!strings.HasSuffix(r.err, "\nopenmas list -p "+path+" shows what there is\n") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "", "trace", "--last", "-p", path); r.code != exitFailed ||
		!strings.Contains(r.err, "telemetry: {recent: 64MiB}") {
		t.Errorf("%+v", r)
	}
}

// A file or an answer that is too large is refused, and not cut.
func TestReadAtMost(t *testing.T) {
	for _, c := range []struct {
		text string
		most int64
		ok   bool
	}{{"", 0, true}, {"abc", 3, true}, {"abc", 2, false}} {
		got, err := readAtMost(strings.NewReader(c.text), c.most)
		if (err == nil) != c.ok || c.ok && string(got) != c.text {
			t.Errorf("%q, at most %d: %q, %v", c.text, c.most, got, err)
		}
	}
}
