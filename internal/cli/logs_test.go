//go:build unix

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
)

// The log of all processes, living and dead, is one; it can be followed, and needs neither the
// environment of the processes nor a process that answers.
func TestLogs(t *testing.T) {
	path := projectFile(t, `project: crew
agents:
  greeter: {type: greeter, config: {greeting: "${env:GREETING}"}}
  worker: {type: worker, communicator: mcp-stdio}
`)
	if r := run(t, "", "logs", "-p", path); r.code != exitOK || r.out != "" ||
		!strings.Contains(r.err, "no lines in ") || !strings.Contains(r.err, "no process of the project has kept any") {
		t.Errorf("before the first run: %+v", r)
	}
	start := func() *process {
		p := program(t, io.Discard, "run", path, "--log-level", "error")
		p.Env = append(p.Env, "GREETING=Hi")
		p.start()
		return p
	}
	begins := func() int { return strings.Count(run(t, "", "logs", "-p", path).out, "process begins") }
	first := start()
	testkit.Eventually(t, "the first process answers", func() bool {
		return run(t, "", "status", "-p", path).code == exitOK
	})
	if r := run(t, "", "call", "worker.print", "-p", path); r.code != exitOK {
		t.Errorf("call: %+v", r)
	}
	if r := run(t, "", "call", "greeter.greet", "-p", path); r.code != exitFailed {
		t.Errorf("call: %+v", r)
	}
	if r := run(t, "", "call", "worker.panic", "-p", path); r.code != exitFailed {
		t.Errorf("call: %+v", r)
	}
	r := run(t, "", "logs", "--failed", "-p", path)
	if r.code != exitOK || r.err != "" || !strings.Contains(r.out, "INFO  greeter call failed tool=greet") ||
		!strings.Contains(r.out, "ERROR worker panic in a handler instance=worker/0 tool=panic") ||
		!strings.Contains(r.out, "code=invalid_argument") {
		t.Errorf("logs --failed: %+v", r)
	}
	r = run(t, "", "logs", "worker", "-p", path)
	if r.code != exitOK || !strings.Contains(r.out, "worker a stray print instance=worker/0") ||
		strings.Contains(r.out, "greeter") {
		t.Errorf("logs worker: %+v", r)
	}
	if r := run(t, "", "logs", "workr", "-p", path); r.out != "" || r.code != exitFailed ||
		!strings.Contains(r.err, `did you mean "worker"?`) {
		t.Errorf("logs workr: %+v", r)
	}
	first.signal(syscall.SIGSTOP)
	second := start()
	testkit.Eventually(t, "the second process begins", func() bool { return begins() == 2 })
	first.signal(syscall.SIGKILL)
	<-first.ended

	var out testkit.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan int, 1)
	go func() {
		followed <- Run(ctx, Program{Types: types(), Version: testVersion, Environ: []string{}},
			[]string{"logs", "-f", "-n", "1", "--json", "-p", path}, Streams{Out: &out, Err: io.Discard})
	}()
	out.Await(t, `"process":`)
	second.signal(syscall.SIGTERM)
	out.Await(t, "process ends")
	cancel()
	if code := <-followed; code != exitOK {
		t.Errorf("logs -f: exit %d", code)
	}
	processes := map[string]bool{}
	r = run(t, "", "logs", "-n", "0", "--json", "-p", path)
	for line := range strings.Lines(r.out) {
		var l struct{ Time, Msg, Process string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Process == "" || l.Time == "" || l.Msg == "" {
			t.Errorf("%s: %v", line, err)
		}
		processes[l.Process] = true
	}
	if len(processes) != 2 {
		t.Errorf("lines of %d processes: %s", len(processes), r.out)
	}
	if r := run(t, "", "logs", "-n", "1", "-p", path); !strings.Contains(r.out, "process ends") {
		t.Errorf("the last line: %+v", r)
	}
}

// On a terminal, a long cell leaves room for the others; what is short enough stays.
func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want string
	}{{"äöü", 3, "äöü"}, {"äöüß", 3, "äö…"}, {"äöüß", 0, "äöüß"}, {"", 3, ""}} {
		if got := cut(tt.text, tt.most); got != tt.want {
			t.Errorf("%q, %d: %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
}

// A program, or a folder, that is not here may be where the project is to run.
func TestValidateWarnsOfPrograms(t *testing.T) {
	path := projectFile(t, "agents:\n  a: {command: [no-such-program]}\n  b: {command: [no-such], env: {PATH: /x}}\n")
	dir := projectFile(t, "agents:\n  a: {command: ["+strconv.Quote(os.Args[0])+"], dir: nowhere}\n  "+
		"b: {command: ["+strconv.Quote(os.Args[0])+"], dir: .}\n")
	r := run(t, "", "validate", dir)
	want := fmt.Sprintf("agent a: there is no folder %q here\n", filepath.Join(filepath.Dir(dir), "nowhere"))
	if r.code != exitOK || strings.Count(r.err, "warning") != 1 || !strings.Contains(r.err, want) {
		t.Errorf("%+v, want %s", r, want)
	}
	r = run(t, "", "validate", path)
	if r.code != exitOK || strings.Count(r.err, "warning: ") != 1 || !strings.Contains(r.err,
		"warning: agent a: there is no program \"no-such-program\" here\n --> "+path+":2:16\n") {
		t.Errorf("%+v", r)
	}
}
