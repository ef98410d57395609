//go:build unix

package cli

import (
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
)

// A project that runs takes its changed file, on a command and on SIGHUP. A bad one changes
// nothing.
func TestReloadWhatRuns(t *testing.T) {
	path := projectFile(t, "agents: {worker: {type: worker}, greeter: {type: greeter}}")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := program(t, io.Discard, "run", path)
	p.start()
	p.err.Await(t, "msg=ready")
	check := func(code int, out, errOut string, args ...string) result {
		t.Helper()
		r := run(t, "", append(append([]string{"reload"}, args...), "-p", path)...)
		if r.code != code || !regexp.MustCompile(`^`+out+`$`).MatchString(r.out) || !strings.Contains(r.err, errOut) {
			t.Errorf("%q: %+v, want %d, %s and %s", args, r, code, out, errOut)
		}
		return r
	}
	check(exitOK, `nothing has changed in the project file \(process \d+\)\n`, "")
	check(exitUsage, "", "--set changes nothing here", "--set", "agents.worker.timeout=7s")
	write(`
drain: {timeout: 9s}
agents:
  worker: {type: worker, timeout: 5s, swap: stop_first}
  more: {type: greeter}
`)
	const changes = `~ drain.timeout 25s -> 9s\n` +
		`\+ agent more%s\n` +
		`~ agent worker: swap start_first -> stop_first, timeout 5s \(new\)%s\n` +
		`- agent greeter%s\n`
	check(exitOK, strings.Replace(strings.ReplaceAll(changes, "%s", ""), "timeout 5s \\(new\\)",
		"timeout 5s \\(new\\) \\(stop_first\\)", 1)+
		`4 changes to make in process \d+: --dry-run changes nothing\n`, "", "--dry-run")
	check(exitOK, strings.ReplaceAll(changes, "%s", ` \(in \S+\)`)+`4 changes of 4 made in process \d+\n`,
		"openmas: changed worker\n")
	if r := run(t, "", "status", "-p", path); !strings.Contains(r.out, "more") || strings.Contains(r.out, "greeter ") {
		t.Errorf("%+v", r)
	}
	write("agents: {worker: {type: worker}, bad: {type: nothing}}")
	check(exitFailed, "", `no type "nothing"`)
	check(exitFailed, "", `no type "nothing"`, "--dry-run")
	write("project: other\nagents: {worker: {type: worker}}")
	check(exitFailed, "", "cannot change while the system runs: project openmas -> other")
	write("agents: {worker: {type: worker}}\nnonsense: 1")
	check(exitFailed, "", "nonsense")
	check(exitUsage, "", "it is a process that is reloaded", "worker")
	check(exitFailed, "", "no process 1 of the project", "@1")
	p.signal(syscall.SIGHUP)
	p.err.Await(t, `msg="reload: nothing was changed"`)
	write("agents: {worker: {type: worker}}")
	p.signal(syscall.SIGHUP)
	p.err.Await(t, `msg="reload: removed" agent=more`)
	r := check(exitOK, `(?s)\{.*`, "", "--json")
	var done reloaded
	if err := json.Unmarshal([]byte(r.out), &done); err != nil || len(done.Processes) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	p.signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
	testkit.Eventually(t, "nothing runs any more", func() bool {
		return run(t, "", "reload", "-p", path).code != exitOK
	})
}
