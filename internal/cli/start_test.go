package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// A program that never answers costs whoever calls it the time that they give, and others nothing.
func TestAProgramThatDoesNotStart(t *testing.T) {
	testkit.Processes(t)
	path := projectFile(t, "agents:\n  greeter: {type: greeter}\n  mute: {command: [sh, -c, 'cat >/dev/null']}\n"+
		"  zz: {command: [sh, -c, 'echo no such table >&2; exit 3']}\nstart: {wait: 5m}\n")
	if r := run(t, "", "call", "greeter.greet", "name=Ann", "-p", path); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	// start.wait is for what the project is to run with. The start itself may take longer than a
	// short --timeout.
	testkit.Longer(t, "a call gives up while the program starts", 500*time.Millisecond, func(d time.Duration) bool {
		r := run(t, "", "call", "mute.say", "-p", path, "--timeout", d.String())
		if r.code != exitFailed || !strings.Contains(r.err, "over after "+d.String()+" (--timeout)") {
			t.Fatalf("%+v", r)
		}
		return strings.Contains(r.err, "mute/0: ")
	})
	for _, args := range [][]string{{"call", "zz.say", "-p", path}, {"run", path, "--strict", "--set", "start.wait=1m",
		"--set", "agents.another={command: [sh, -c, 'cat >/dev/null']}"}} {
		r := run(t, "", args...)
		if r.code != exitFailed || !strings.Contains(r.err, "exited with code 3") ||
			!strings.HasSuffix(r.err, "the program's last lines:\n    no such table\n") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// A program that writes why a tool failed, and does not tell its caller, is one command away. What
// it wrote before it ended is shown once.
func TestWhatAProgramWrote(t *testing.T) {
	testkit.Processes(t)
	const server = `while read -r m; do
  id=$(echo "$m" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case $m in
  *initialize\"*) r='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},
    "serverInfo":{"name":"x","version":"1"}}' ;;
  *tools/list*) r='{"tools":[{"name":"quiet","inputSchema":{"type":"object"}},
    {"name":"loud","inputSchema":{"type":"object"}}]}' ;;
  *tools/call*) r='{"isError":true,"content":[{"type":"text","text":"no"}]}' ;;
  esac
  case $m in *loud*) echo 'ValueError: the reason' >&2 ;; esac
  [ -z "$id" ] || echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$(echo "$r" | tr -d '\n')}"
done`
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("server.sh", server)
	write("broken.sh", "printf 'Traceback (most recent call last):\\n  File \"x.py\"\\nImportError: none\\n' >&2; exit 1")
	path := write("openmas.yaml", "agents:\n  py: {command: [sh, server.sh]}\n  bad: {command: [sh, broken.sh]}\n")
	const hint = "openmas logs py -p "
	want := hint + path + " shows what py wrote meanwhile\n"
	testkit.Eventually(t, "the hint at what was written", func() bool { // it has a moment to arrive
		return strings.Contains(run(t, "", "call", "py.loud", "-p", path).err, want)
	})
	if r := run(t, "", "call", "py.quiet", "-p", path); r.code != exitFailed || strings.Contains(r.err, hint) {
		t.Errorf("%+v", r)
	}
	if r := run(t, "", "call", "bad.x", "-p", path); strings.Count(r.err, "Traceback") != 1 || r.code != exitFailed {
		t.Errorf("%+v", r)
	}
}
