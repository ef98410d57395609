package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// A program that never answers costs whoever calls it the time that they give, and others nothing.
func TestAProgramThatDoesNotStart(t *testing.T) {
	testkit.Processes(t)
	path := projectFile(t, "agents:\n  greeter: {type: greeter}\n  mute: {command: [sh, -c, 'cat >/dev/null']}\n"+
		"  zz: {command: [sh, -c, 'echo no such table >&2; exit 3']}\nstart: {wait: 100ms}\n")
	if r := run(t, "", "call", "greeter.greet", "name=Ann", "-p", path); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	began := time.Now()
	r := run(t, "", "call", "mute.say", "-p", path, "--timeout", "500ms")
	if r.code != exitFailed || time.Since(began) > 20*time.Second ||
		!strings.Contains(r.err, "over after 500ms (--timeout)") || !strings.Contains(r.err, "mute/0: ") {
		t.Errorf("after %v: %+v", time.Since(began), r)
	}
	for _, args := range [][]string{{"call", "zz.say", "-p", path}, {"run", path, "--strict", "--set", "start.wait=1m",
		"--set", "agents.another={command: [sh, -c, 'cat >/dev/null']}"}} {
		r := run(t, "", args...)
		if r.code != exitFailed || !strings.Contains(r.err, "exited with code 3") ||
			!strings.HasSuffix(r.err, "the program's last lines:\n    no such table\n") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
