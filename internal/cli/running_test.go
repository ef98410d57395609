//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
)

// Commands use the process that runs, however it is exposed, without the environment that it was
// started with; and start a system when it has died.
func TestTheSystemThatRuns(t *testing.T) {
	path := projectFile(t, `project: crew
agents:
  greeter: {type: greeter, config: {greeting: "${env:GREETING}"}}
  worker: {type: worker}
gateway: {listen: "127.0.0.1:0", expose: [worker]}
`)
	p := program(t, io.Discard, "run", path)
	p.Env = append(p.Env, "GREETING=Hi")
	p.start()
	p.err.Await(t, "SSE_SERVER_URL=")
	note := fmt.Sprintf("openmas: project crew runs already: using process %d\n", p.Process.Pid)
	r := run(t, "", "call", "greeter.greet", "name=Ada", "-p", path)
	if r.code != exitOK || r.out != "Hi, Ada!\n" || !strings.HasPrefix(r.err, note) {
		t.Errorf("call: %+v", r)
	}
	if r := run(t, "", "list", "-p", path); r.code != exitOK || r.err != note || !strings.Contains(r.out, "greeter.greet") {
		t.Errorf("list: %+v", r)
	}
	var listing runtime.Listing
	r = run(t, "", "list", "--json", "-p", path)
	if err := json.Unmarshal([]byte(r.out), &listing); err != nil || len(listing.Instances["greeter"]) != 1 {
		t.Errorf("list --json: %+v, %v", r, err)
	}
	if r := run(t, "", "events", "publish", "guest.came", "name=Ada", "-p", path); r != (result{
		err: note + "openmas: guest.came goes to greeter\n"}) {
		t.Errorf("events publish: %+v", r)
	}
	for _, flags := range [][]string{{"--set", "agents.greeter.timeout=3s"}, {"--profile", "dev"}} {
		r := run(t, "", append([]string{"call", "greeter.greet", "name=Ada", "-p", path}, flags...)...)
		if r.code != exitUsage || !strings.Contains(r.err, "add --isolated") {
			t.Errorf("%q: %+v", flags, r)
		}
	}
	if r := run(t, "", "call", "greeter.greet", "--isolated", "--url", "http://127.0.0.1:1"); r.code != exitUsage {
		t.Errorf("--isolated and --url: %+v", r)
	}
	if r := run(t, "", "call", "greeter.greet", "-p", path); r.code != exitFailed {
		t.Errorf("a call without its argument: %+v", r)
	}
	row := regexp.MustCompile(`(?m)^greeter/0 +ready +\S+ +0 +3 +0 +2 +1 +\S+ +\S+ +\S+ ago greet: invalid_argument: `)
	testkit.Eventually(t, "the calls and the event have ended", func() bool {
		r = run(t, "", "status", "-p", path)
		return row.MatchString(r.out)
	}, &p.err)
	if r.code != exitOK || r.err != "" ||
		!strings.Contains(r.out, fmt.Sprintf("crew: ready, process %d, up ", p.Process.Pid)) {
		t.Errorf("status: %+v", r)
	}
	var all systemStatus
	r = run(t, "", "status", "--json", "-p", path)
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all.Processes) != 1 ||
		len(all.Processes[0].Agents) != 2 || all.Processes[0].Agents[0].ByTool[0].Tool != "greet" {
		t.Errorf("status --json: %+v, %v", r, err)
	}
	p.signal(syscall.SIGKILL)
	<-p.ended
	r = run(t, "", "status", "-p", path)
	if r.code != exitFailed || !strings.Contains(r.err, "openmas run starts one") {
		t.Errorf("status of what does not run: %+v", r)
	}
	r = runWith(t.Context(), "", []string{"GREETING=Ho"}, "call", "greeter.greet", "name=Ada", "-p", path)
	if r.code != exitOK || r.out != "Ho, Ada!\n" ||
		!strings.HasPrefix(r.err, "openmas: project crew does not run: starting it for this command\n") {
		t.Errorf("call after it was killed: %+v", r)
	}
}

// A process that is stopped is not taken for dead: no second system is started beside it.
func TestAFrozenProcess(t *testing.T) {
	path := projectFile(t, crew)
	p := program(t, io.Discard, "run", path, "--listen", "127.0.0.1:0")
	p.start()
	address := strings.TrimPrefix(p.err.Await(t, "SSE_SERVER_URL="), "http://")
	p.signal(syscall.SIGSTOP)
	want := "openmas: the project runs, and cannot be asked: process "
	if goruntime.GOOS == "linux" || goruntime.GOOS == "darwin" {
		want += fmt.Sprintf("%[1]d is suspended (Ctrl-Z, or SIGSTOP): fg in its terminal, or kill -CONT %[1]d, has it "+
			"go on", p.Process.Pid)
	}
	r := run(t, "", "call", "greeter.greet", "name=Ada", "-p", path)
	if r.code != exitFailed || r.out != "" || !strings.HasPrefix(r.err, want) ||
		!strings.HasSuffix(r.err, "; --isolated starts another system\n") {
		t.Errorf("call: %+v, want %s", r, want)
	}
	for _, args := range [][]string{{"status"}, {"stop", "--all"}} {
		r := run(t, "", append(args, "-p", path)...)
		if r.code != exitFailed || r.out != "" || !strings.HasPrefix(r.err, want) ||
			strings.Contains(r.err, "isolated") {
			t.Errorf("%q: %+v, want %s", args, r, want)
		}
	}
	if r := run(t, "", "run", path, "--listen", address); r.code != exitFailed ||
		!strings.Contains(r.err, strings.TrimPrefix(want, "openmas: ")) {
		t.Errorf("run: %+v, want %s", r, want)
	}
	p.signal(syscall.SIGCONT)
	if r := run(t, "", "call", "greeter.greet", "name=Ada", "-p", path); r.code != exitOK {
		t.Errorf("after it goes on: %+v", r)
	}
}

// A project that is started a second time on its address is named, with what to type.
func TestRunTwice(t *testing.T) {
	path := projectFile(t, "project: crew\nagents:\n  greeter: {type: greeter}\n")
	s := serve(t, path)
	address := strings.TrimPrefix(s.url, "http://")
	r := run(t, "", "run", path, "--listen", address)
	want := fmt.Sprintf("(?m)^openmas: project crew runs already: process %d, for \\d+s, at %s\nopenmas status -p %s "+
		"shows it, ", os.Getpid(), s.url, path)
	if r.code != exitFailed || !regexp.MustCompile(want).MatchString(r.err) {
		t.Errorf("%+v, want %s", r, want)
	}
	other := projectFile(t, "agents:\n  a: {type: greeter}\n")
	if r := run(t, "", "run", other, "--listen", address); r.code != exitFailed ||
		!strings.Contains(r.err, "is in use, perhaps by another openmas") {
		t.Errorf("another project: %+v", r)
	}
}
