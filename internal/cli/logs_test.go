//go:build unix

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
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
	var r result
	testkit.Eventually(t, "what a child writes has come", func() bool { // on a pipe of its own
		r = run(t, "", "logs", "--failed", "-p", path)
		return strings.Contains(r.out, "ERROR worker panic in a handler instance=worker/0 tool=panic")
	})
	if r.code != exitOK || r.err != "" || !strings.Contains(r.out, "INFO  greeter call failed tool=greet") ||
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

// How instances have ended can be read while the system runs, and when all of it was killed.
func TestCrashes(t *testing.T) {
	path := projectFile(t, `project: crew
telemetry: {recent: 1MiB}
agents:
  worker: {type: worker, communicator: mcp-stdio}
  broken: {type: broken}
  away: {type: broken, communicator: mcp-stdio}
  bad: {command: [sh, -c, 'printf "no \033[31mpaper for $TOKEN\n" >&2; exit 3'], env: {TOKEN: "${env:TOKEN}"}}
`)
	if r := run(t, "", "logs", "--crashes", "-p", path); r.code != exitOK || r.out != "" ||
		!strings.Contains(r.err, "no crash of this project is known") {
		t.Errorf("before the first run: %+v", r)
	}
	p := program(t, io.Discard, "run", path)
	p.Env = append(p.Env, "TOKEN=sesame-sesame-sesame")
	p.start()
	worker := 0
	look := func() map[string]*runtime.Crash {
		var s systemStatus
		r := run(t, "", "status", "-p", path, "--json")
		if err := json.Unmarshal([]byte(r.out), &s); err != nil {
			return nil
		}
		found := map[string]*runtime.Crash{}
		for _, a := range s.Processes[0].Agents {
			found[a.Name] = a.Instances[0].LastCrash
			if a.Name == "worker" && worker == 0 {
				worker = a.Instances[0].PID
			}
		}
		return found
	}
	testkit.Eventually(t, "three have crashed", func() bool {
		now := look()
		return now["bad"] != nil && now["broken"] != nil && now["away"] != nil
	}, &p.err)
	now := look()
	if c := now["bad"]; c.ExitCode == nil || *c.ExitCode != 3 || c.Signal != "" || c.What != "process" ||
		!slices.Equal(c.LastLines, []string{"no [31mpaper for ***"}) || c.Next != "restarting" ||
		c.PID != p.Process.Pid {
		t.Errorf("%+v", c)
	}
	for _, name := range []string{"broken", "away"} {
		if c := now[name]; c.What != "runner" || c.Error != "out of paper" || c.ExitCode != nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	go run(t, "", "call", "worker.hang", "-p", path)
	p.err.Await(t, "msg=hanging")
	if look(); worker == 0 { // that would be this process and its group
		t.Fatalf("the worker's process is not known\n%s", &p.err)
	}
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the worker has crashed", func() bool { return look()["worker"] != nil }, &p.err)
	c := look()["worker"]
	if c.Signal != "SIGKILL" || c.ExitCode != nil || c.InFlight != 1 || len(c.Calls) != 1 || c.Restarts != 0 ||
		c.Calls[0].Tool != "worker.hang" || c.Calls[0].Call == "" || len(c.Calls[0].Trace) != 32 ||
		c.Next != "restarting" {
		t.Errorf("%+v", c)
	}
	p.err.Await(t, "signal=SIGKILL in_flight=1 cut=")
	r := run(t, "", "status", "-p", path)
	if !strings.Contains(r.out, "was ended by SIGKILL, 1 call in flight; then restarted at once\n") {
		t.Errorf("%+v", r)
	}
	p.signal(syscall.SIGKILL)
	<-p.ended

	r = run(t, "", "logs", "worker", "--crashes", "-p", path)
	if r.code != exitOK || !strings.Contains(r.out, "worker/0") || !strings.Contains(r.out, "SIGKILL") ||
		!strings.Contains(r.out, "  in flight: 1 call\n    worker.hang  call ") || strings.Contains(r.out, "broken") {
		t.Errorf("%+v", r)
	}
	if r = run(t, "", "logs", "worker", "-p", path); !strings.Contains(r.out, "signal=SIGKILL in_flight=1") {
		t.Errorf("%+v", r)
	}
	if r = run(t, "", "logs", "workr", "--crashes", "-p", path); !strings.Contains(r.err, `did you mean "worker"?`) {
		t.Errorf("%+v", r)
	}
	agents := map[string]bool{}
	r = run(t, "", "logs", "--crashes", "--json", "-p", path)
	for line := range strings.Lines(r.out) {
		var c runtime.Crash
		if err := json.Unmarshal([]byte(line), &c); err != nil || c.Times < 1 {
			t.Errorf("%s: %v", line, err)
		}
		agents[c.Agent] = true
	}
	if len(agents) != 4 || strings.Contains(r.out, "sesame") {
		t.Errorf("%s", r.out)
	}
}

// A report on a terminal has the words of a program written out.
func TestShowCrash(t *testing.T) {
	at := time.Date(2026, 11, 5, 4, 3, 2, 0, time.Local)
	var out strings.Builder
	err := showCrash(&out, runtime.Crash{Instance: "a/0", What: "runner", At: at, Times: 3, First: at.Add(-time.Hour),
		Error: "panic: \x1b[2J", Stack: "one\n\ttwo\x07\n", Restarts: 4, Next: "backoff",
		NextAt: at.Add(15 * time.Second), PID: 7, InFlight: 3,
		Calls:     []crashes.Call{{Call: "c", Tool: "t", AgeMS: 12}},
		LastLines: []string{"\x1b[31m"}})
	want := `2026-11-05 04:03:02.000  a/0  its Runner ended: panic: \x1b[2J (3 times)
  the same 3 times since 2026-11-05 03:03:02
  restarted 4 times before, then rested for 15s; openmas process 7
  in flight: 3 calls
    t  call c  trace none  12ms
    and 2 more
  its last lines:
    \x1b[31m
    one
      two\a
`
	if err != nil || out.String() != want {
		t.Errorf("%v, got:\n%s\nwant:\n%s", err, out.String(), want)
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
		"warning: agent a: there is no program \"no-such-program\" here\n --> "+path+":2:17\n") {
		t.Errorf("%+v", r)
	}
}
