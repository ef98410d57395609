package interop

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
	"github.com/openmas/openmas/internal/testkit"
)

// pythonAgent is the command of testdata's callback.py, as JSON.
func pythonAgent(t *testing.T) string {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("testdata", "python", "callback.py"))
	if err != nil {
		t.Fatal(err)
	}
	argv, err := json.Marshal([]string{toolbox.PythonIn(folder(toolbox.PythonOld)), script})
	if err != nil {
		t.Fatal(err)
	}
	return string(argv)
}

// Two programs that call each other in a circle, and say nothing of it: at the limit of depth it
// ends, and with the time of its first call.
func TestACircleOfPythonPrograms(t *testing.T) {
	needs(t, toolbox.PythonOld)
	t.Parallel()
	run := start(t, nil, openmas(t), "run", projectFile(t, fmt.Sprintf(`
project: circle
gateway: {listen: '127.0.0.1:0'}
defaults: {timeout: 60s}
agents:
  a: {command: %s}
  b: {command: %[1]s}
  short: {command: %[1]s, tools: {circle: {timeout: 5s}}}
`, pythonAgent(t))), "--log-format", "text")
	url := run.url(t)
	call := func(agent, other string, times int) string {
		p := start(t, nil, openmas(t), "call", agent+".circle",
			fmt.Sprintf(`{"other": %q, "me": %q, "times": %d}`, other, agent, times), "--url", url)
		<-p.done
		return p.out.String() + p.stderr()
	}
	if got := call("a", "b", 1); !strings.Contains(got, "do agents call each other in a circle? (a > b > a > b > ") {
		t.Errorf("one call leads to the next: %s", got)
	}
	if got := call("short", "b", 3); !strings.Contains(got, "deadline_exceeded") {
		t.Errorf("each call leads to three: %s", got)
	}
	executions := func() string {
		p := start(t, nil, openmas(t), "call", "openmas.status", "--url", url)
		p.wait(t)
		var s struct {
			Agents []struct {
				Name            string
				Calls, InFlight int
			}
		}
		if err := json.Unmarshal(p.out.Bytes(), &s); err != nil {
			t.Fatal(err, p.out.String())
		}
		return fmt.Sprint(s.Agents)
	}
	answered, made, last := time.Now(), "", time.Now()
	testkit.Eventually(t, "nothing is called any more", func() bool {
		if now := executions(); now != made {
			made, last = now, time.Now()
		}
		return time.Since(last) > 2*time.Second
	})
	t.Logf("the circle went on for %v: %s", last.Sub(answered), made)
	run.stop(t)
}

// A program that does nothing else while a tool blocks answers no ping either, for longer than an
// idle one may be silent. It keeps its session.
func TestAPythonProgramThatBlocks(t *testing.T) {
	needs(t, toolbox.PythonOld)
	t.Parallel()
	run := start(t, nil, openmas(t), "run", projectFile(t, fmt.Sprintf(`
project: block
gateway: {listen: '127.0.0.1:0'}
agents:
  a: {command: %s}
`, pythonAgent(t))), "--log-format", "text")
	url := run.url(t)
	call := func(tool, in string) string {
		return strings.TrimSpace(start(t, nil, openmas(t), "call", "a."+tool, in, "--url", url).wait(t))
	}
	before := call("pid", "{}")
	if got := call("block", `{"seconds": 18}`); got != "done" {
		t.Errorf("the tool: %s", got)
	}
	if after := call("pid", "{}"); after != before {
		t.Errorf("the program was %s and is %s", before, after)
	}
	run.stop(t)
	if said := run.stderr(); !strings.Contains(said, "does not answer a ping") || strings.Contains(said, "session") &&
		strings.Contains(said, "ended") {
		t.Error("it was not suspect, or it lost its session:", said)
	}
}
