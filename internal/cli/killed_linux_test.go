package cli

import (
	"bytes"
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

	"github.com/openmas/openmas/internal/guard"
	"github.com/openmas/openmas/internal/testkit"
)

// A killed runtime leaves nothing behind: not its own children, nor programs behind wrappers, nor
// daemons of theirs, nor a whole system as an agent.
func TestNothingOutlivesAKilledRuntime(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inner := projectFile(t, "project: inner\nagents: {worker: {type: worker, communicator: mcp-stdio}}")
	chain := fmt.Sprintf("setsid sleep 1000 & %s=1 %s run --stdio %s; true", mainVar, exe, inner)
	path := projectFile(t, fmt.Sprintf(`
agents:
  worker: {type: worker, communicator: mcp-stdio, replicas: 2}
  chain: {command: [sh, -c, %q], critical: true}
`, chain))
	p := program(t, io.Discard, "run", path)
	p.start()
	p.err.Await(t, "msg=ready")
	var before []string
	// Its own, 2 workers, a guard, sh, sleep, sh's openmas, its guard and its worker.
	testkit.Eventually(t, "all nine processes", func() bool {
		before = family(p.Process.Pid)
		return len(before) >= 9
	}, &p.err)
	began := time.Now()
	p.signal(syscall.SIGKILL)
	<-p.ended
	left := before
	testkit.Eventually(t, "all have ended", func() bool {
		left = slices.DeleteFunc(left, func(was string) bool {
			pid, _, _ := strings.Cut(was, " ")
			return describe(pid) != was
		})
		return len(left) == 0
	}, lines{&left})
	t.Logf("all had ended after %v", time.Since(began).Round(time.Millisecond))
}

// lines are shown when a test fails.
type lines struct{ all *[]string }

func (l lines) String() string { return strings.Join(*l.all, "\n") }

// family are a process and all that it has started, which have a parent of the family or a mark of
// it, each in a line that begins with its number.
func family(root int) (all []string) {
	of, marks := map[string]bool{strconv.Itoa(root): true}, map[string]bool{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for more := true; more; {
		more = false
		for _, dir := range dirs {
			pid := filepath.Base(dir)
			environ, _ := os.ReadFile(dir + "/environ")
			_, mark, _ := bytes.Cut(environ, []byte(guard.Var+"="))
			mark, _, _ = bytes.Cut(mark, []byte{0})
			if !of[pid] && (of[parent(dir)] || marks[string(mark)]) {
				of[pid], more = true, true
			}
			if of[pid] && len(mark) > 0 && !marks[string(mark)] {
				marks[string(mark)], more = true, true
			}
		}
	}
	for pid := range of {
		if line := describe(pid); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func parent(dir string) string {
	stat, _ := os.ReadFile(dir + "/stat")
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	if fields := strings.Fields(string(rest)); len(fields) > 1 {
		return fields[1]
	}
	return ""
}

// describe is empty for a process that has ended.
func describe(pid string) string {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil || bytes.Contains(stat, []byte(") Z ")) {
		return ""
	}
	line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
	return pid + " " + strings.ReplaceAll(string(line), "\x00", " ")
}
