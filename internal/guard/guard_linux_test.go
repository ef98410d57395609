package guard

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/openmas/openmas/internal/testkit"
)

// roleVar makes the test binary one of the processes of these tests.
const roleVar = "OPENMAS_GUARD_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		goleak.VerifyTestMain(m)
	case "guard":
		mark := make([]byte, 17)
		_, err := io.ReadFull(os.Stdin, mark)
		if err == nil {
			err = Serve(Mark(mark[:16]), os.Stdin)
		}
		if err != nil {
			panic(err)
		}
	case "program":
		g := newTestGuard()
		g.Start()
		testProgram(g)
		select {}
	}
}

func newTestGuard() *Guard {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return New(Options{Command: []string{exe}, Env: []string{roleVar + "=guard", "GORACE=" + testkit.NoExitSleep},
		Hello:  func(m Mark) ([]byte, error) { return []byte(m), nil },
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}

// testProgram starts a child with the mark, a second one without it in a group that the guard
// knows, and a third with descendants in groups and sessions of their own. Each says its number on
// standard output, and the guard's is first.
func testProgram(g *Guard) {
	for g.Pid() == 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(g.Pid())
	shell := func(text string, marked bool) int {
		cmd := exec.Command("sh", "-c", text)
		cmd.Stdout, cmd.SysProcAttr = os.Stdout, &syscall.SysProcAttr{Setpgid: true}
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		if marked {
			cmd.Env = append(cmd.Env, Var+"="+string(g.Mark()))
		}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		return cmd.Process.Pid
	}
	shell("echo $$; exec sleep 1000", true)
	g.Add(shell("echo $$; sleep 1000 & echo $!; wait", false))
	shell(`sh -c "setsid sh -c 'echo \$\$; trap : TERM HUP; sleep 1000 & echo \$!; wait; wait' & echo \$!; wait"`, true)
	// A group that has ended is not the guard's any more.
	g.Add(unix.Getpid())
	g.Remove(unix.Getpid())
}

const processes = 6 // of a testProgram, besides the guard

type program struct {
	*exec.Cmd
	out   testkit.Buffer
	guard int
	pids  []int
}

func startProgram(t *testing.T) *program {
	testkit.Processes(t)
	p := &program{Cmd: exec.Command(os.Args[0])}
	p.Env, p.Stdout, p.Stderr = append(os.Environ(), roleVar+"=program"), &p.out, os.Stderr
	leaked, err := os.Create(filepath.Join(t.TempDir(), "leaked"))
	if err != nil {
		t.Fatal(err)
	}
	defer leaked.Close()
	p.ExtraFiles = []*os.File{leaked}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Process.Kill()
		for _, pid := range p.pids {
			if alive(pid) {
				unix.Kill(pid, unix.SIGKILL)
			}
		}
	})
	testkit.Eventually(t, "all of them run", func() bool { return strings.Count(p.out.String(), "\n") == processes+1 })
	for _, line := range strings.Fields(p.out.String()) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		p.pids = append(p.pids, pid)
	}
	p.guard, p.pids = p.pids[0], p.pids[1:]
	for _, pid := range p.pids {
		if !alive(pid) {
			t.Fatalf("%d does not run: the test shows nothing", pid)
		}
	}
	return p
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

func (p *program) left() (left []int) {
	for _, pid := range append(p.pids, p.guard) {
		if alive(pid) {
			left = append(left, pid)
		}
	}
	return left
}

func TestNothingOutlivesAProgramThatIsKilled(t *testing.T) {
	p := startProgram(t)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.Process.Wait()
	testkit.Eventually(t, "all have ended", func() bool { return len(p.left()) == 0 })
	t.Logf("all had ended after %v", time.Since(began).Round(time.Millisecond))
}

// The guard outlives what others send to all processes of a name or of a terminal, and holds
// nothing but its pipe.
func TestTheGuardIsAlone(t *testing.T) {
	p := startProgram(t)
	dir := fmt.Sprintf("/proc/%d/", p.guard)
	testkit.Eventually(t, "it has its name", func() bool {
		comm, _ := os.ReadFile(dir + "comm")
		return strings.TrimSpace(string(comm)) == name
	})
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT} {
		unix.Kill(p.guard, s)
	}
	if sid, err := unix.Getsid(p.guard); err != nil || sid != p.guard {
		t.Errorf("its session is %d, %v", sid, err)
	}
	if cwd, _ := os.Readlink(dir + "cwd"); cwd != "/" {
		t.Errorf("it stands in %s", cwd)
	}
	testkit.Eventually(t, "it has closed what it does not need", func() bool {
		files, err := os.ReadDir(dir + "fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			target, _ := os.Readlink(dir + "fd/" + f.Name())
			pipe := f.Name() == "0" && strings.HasPrefix(target, "pipe:")
			if target != "" && !pipe && target != "/dev/null" && !strings.HasPrefix(target, "anon_inode:") {
				return false
			}
		}
		return true
	})
	if !alive(p.guard) {
		t.Error("a signal has ended it")
	}
	if status, err := os.ReadFile(dir + "status"); err == nil {
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "RssAnon") {
				t.Log(strings.TrimSpace(line))
			}
		}
	}
}

// What ends the guard alone costs nothing: the next one knows all groups.
func TestAnotherGuardFollows(t *testing.T) {
	g := newTestGuard()
	g.opts.Logger = slog.New(slog.DiscardHandler)
	testkit.Processes(t)
	g.Start()
	testkit.Eventually(t, "it runs", func() bool { return g.Pid() != 0 })
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.Add(cmd.Process.Pid)
	first := g.Pid()
	unix.Kill(first, unix.SIGKILL)
	testkit.Eventually(t, "another one runs", func() bool { pid := g.Pid(); return pid != 0 && pid != first })
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || alive(cmd.Process.Pid) {
		t.Errorf("the group ended with %v", err)
	}
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMarks(t *testing.T) {
	testkit.Processes(t)
	g := newTestGuard()
	mark := g.Mark()
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{"BEFORE=" + strings.Repeat("x", 100_000), Var + "=" + string(mark), "AFTER=1"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it has its own environment", func() bool { return Signal(mark, unix.Signal(0), 0) == 1 })
	for m, want := range map[Mark]int{g.mark: 1, mark: 1, mark[:len(mark)-1]: 0, g.mark + ".": 0, "": 0} {
		if n := Signal(m, unix.Signal(0), 0); n != want {
			t.Errorf("%q: %d processes, want %d", m, n, want)
		}
	}
	if n := Signal(mark, unix.SIGKILL, unix.Getpgrp()); n != 0 {
		t.Errorf("%d processes of the group that does not count", n)
	}
	if n := Signal(mark, unix.SIGKILL, 0); n != 1 {
		t.Errorf("%d processes were killed", n)
	}
	cmd.Wait()
	if n := Signal(mark, unix.SIGKILL, 0); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if err := g.Close(t.Context()); err != nil { // it was never started
		t.Error(err)
	}
}

func BenchmarkSignal(b *testing.B) {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	b.ReportMetric(float64(len(entries)), "processes")
	for b.Loop() {
		Signal("none", unix.Signal(0), 0)
	}
}
