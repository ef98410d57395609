//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// What runs is restarted, stopped and started with commands, agent by agent, and stopped as a
// whole.
func TestOperateWhatRuns(t *testing.T) {
	path := projectFile(t, `project: crew
agents:
  greeter: {type: greeter, replicas: 2}
  worker: {type: worker}
`)
	p := program(t, io.Discard, "run", path)
	p.start()
	p.err.Await(t, "ready")
	pid := p.Process.Pid
	check := func(want string, args ...string) result {
		t.Helper()
		r := run(t, "", append(args, "-p", path)...)
		if r.code != exitOK || !regexp.MustCompile(`(?s)^`+want+`$`).MatchString(r.out) {
			t.Errorf("%q: %+v, want %s", args, r, want)
		}
		return r
	}
	refused := func(code int, want string, args ...string) {
		t.Helper()
		r := run(t, "", append(args, "-p", path)...)
		if r.code != code || !strings.Contains(r.err, want) {
			t.Errorf("%q: %+v, want %d and %s", args, r, code, want)
		}
	}
	both := fmt.Sprintf(`greeter/0 restarted in \S+ \(process %d\)\ngreeter/1 restarted in \S+ \(process %d\)\n`, pid, pid)
	if r := check(both, "restart", "greeter"); !strings.Contains(r.err, "openmas: restarting greeter/1\n") {
		t.Errorf("nothing says how far it is: %+v", r)
	}
	check(fmt.Sprintf(`greeter/1 stopped in \S+ \(process %d\)\n`, pid), "stop", fmt.Sprintf("greeter@%d/1", pid))
	check(`(?s).*greeter/1 +stopped.*`, "status")
	check(`nothing to start in process \d+\n`, "start", "worker")
	check(`worker/0 stopped in .*`, "stop", "worker")
	refused(exitFailed, "agent worker is stopped by openmas stop; openmas start worker starts it", "call", "worker.work")
	r := check(`(?s)\{.*`, "start", "--all", "--json")
	var done operated
	if err := json.Unmarshal([]byte(r.out), &done); err != nil || len(done.Processes) != 1 ||
		len(done.Processes[0].Instances) != 2 || done.Processes[0].Instances[0].State != "ready" {
		t.Errorf("start --all --json: %+v, %v", r, err)
	}
	refused(exitFailed, `no agent "gretter"; did you mean "greeter"?`, "restart", "gretter")
	refused(exitFailed, `there is no agent "nope"; known: greeter, worker`, "restart", "nope")
	refused(exitFailed, "greeter/0 to greeter/1", "stop", "greeter/2")
	refused(exitFailed, "no process 1 of the project", "stop", "greeter@1")
	refused(exitUsage, "name an agent", "stop")
	refused(exitUsage, "name an agent", "stop", "greeter", "--all")
	refused(exitUsage, "name an agent", "stop", "@", "--all")
	refused(exitUsage, "name an agent", "stop", "@1")
	refused(exitFailed, "no process 1 of the project", "stop", "@1", "--all")
	refused(exitUsage, "numbered", "stop", "greeter/x")
	names := "greeter\tGreets people.\nworker\n"
	if r := run(t, "", "__complete", "restart", "-p", path, ""); !strings.Contains(r.out, names) {
		t.Errorf("completion: %+v", r)
	}
	check(fmt.Sprintf("process %d has stopped\n", pid), "stop", "--all", fmt.Sprintf("@%d", pid))
	<-p.ended
	if code := p.ProcessState.ExitCode(); code != exitOK {
		t.Errorf("it ended with %d", code)
	}
	refused(exitFailed, "no process of", "restart", "greeter")
}
