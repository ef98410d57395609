//go:build unix

package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openmas/openmas/internal/guard"
)

func platformRoles() map[string]func() {
	// relative starts this binary in another role, with our stderr, and waits until it has
	// announced itself.
	relative := func(role string, attr *syscall.SysProcAttr) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleVariable+"="+role)
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = attr
		announced, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			_, err = io.ReadAll(announced)
		}
		if err != nil {
			panic(err)
		}
	}
	announce := func() {
		fmt.Fprintf(os.Stderr, "pid=%d\n", os.Getpid())
		os.Stdout.Close()
	}
	return map[string]func(){
		"ignores stdin": func() { announce(); forever() }, // to the end of stdin
		"stubborn":      func() { signal.Ignore(unix.SIGTERM); announce(); forever() },
		"polite": func() {
			asked := make(chan os.Signal, 2)
			signal.Notify(asked, unix.SIGTERM)
			announce()
			<-asked
			time.Sleep(20 * time.Millisecond) // cleaning up
			fmt.Fprintln(os.Stderr, "farewell")
		},
		"frozen": func() {
			signal.Ignore(unix.SIGTERM)
			announce()
			for {
				unix.Kill(os.Getpid(), unix.SIGSTOP)
			}
		},
		// In these, the pid that is announced is that of the grandchild.
		"parent of stubborn": func() { relative("stubborn", nil); forever() },
		"parent of polite":   func() { relative("polite", nil); forever() },
		"parent of escaped":  func() { relative("stubborn", &syscall.SysProcAttr{Setsid: true}); forever() },
		"father of stubborn": func() { relative("stubborn", nil) }, // and off
		"father of escaped":  func() { relative("stubborn", &syscall.SysProcAttr{Setsid: true}) },
		"father of polite daemon": func() {
			relative("polite daemon", &syscall.SysProcAttr{Setsid: true})
			fmt.Fprintln(os.Stderr, "off")
		},
		"polite daemon": func() {
			asked := make(chan os.Signal, 2)
			signal.Notify(asked, unix.SIGTERM)
			announce()
			os.Stderr.Close()
			<-asked
			time.Sleep(100 * time.Millisecond) // cleaning up
			os.WriteFile(os.Getenv("FAREWELL"), nil, 0o600)
		},
		// It has changed all that we could know it by.
		"father of stranger": func() {
			os.Unsetenv(guard.Var)
			relative("stubborn", &syscall.SysProcAttr{Setsid: true})
		},
		// In this one that of a child started by this package.
		"runtime": func() {
			p, err := Start(context.Background(), as("stubborn"))
			if err != nil {
				panic(err)
			}
			line, err := p.Ready(context.Background())
			if err != nil {
				panic(err)
			}
			fmt.Fprintln(os.Stderr, line)
			forever()
		},
	}
}

// starting starts a role and returns the pid that it announces.
func starting(t *testing.T, spec Spec) (*Process, int) {
	t.Helper()
	spec.Ready = prefixed("pid=")
	var announced string
	t.Cleanup(func() { // runs after the cleanup of start
		if pid, err := strconv.Atoi(announced); err == nil {
			dead(t, pid)
		}
	})
	p, announced := start(t, spec)
	pid, err := strconv.Atoi(announced)
	if err != nil {
		t.Fatal(err)
	}
	return p, pid
}

// dead waits until there is no such process; the bound is for a hang only.
func dead(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for ; alive(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("process %d is still there", pid)
			unix.Kill(pid, unix.SIGKILL)
			return
		}
	}
}

func alive(pid int) bool {
	if err := unix.Kill(pid, 0); errors.Is(err, unix.ESRCH) {
		return false
	}
	// A process that has ended and waits for init to reap it.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestStop(t *testing.T) {
	const never, short = time.Hour, 10 * time.Millisecond
	for name, tt := range map[string]struct {
		role   string
		stdio  bool
		grace  Grace
		signal string // that ended it; else it exited
		killed bool
	}{
		"at the end of stdin":     {"echo", true, Grace{Stdin: never}, "", false},
		"by SIGTERM, after stdin": {"ignores stdin", true, Grace{Stdin: short, Term: never}, "SIGTERM", false},
		"by SIGTERM at once":      {"ignores stdin", true, Grace{Stdin: -1, Term: never}, "SIGTERM", false},
		"by SIGTERM, no stdin":    {"ignores stdin", false, Grace{Stdin: never, Term: never}, "SIGTERM", false},
		"cleans up on SIGTERM":    {"polite", false, Grace{Term: never}, "", false},
		"ignores SIGTERM":         {"stubborn", true, Grace{Stdin: short, Term: short}, "SIGKILL", true},
		"no patience":             {"stubborn", true, Grace{Stdin: -1, Term: -1}, "SIGKILL", true},
		"frozen":                  {"frozen", true, Grace{Stdin: short, Term: short}, "SIGKILL", true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := as(tt.role)
			spec.Stdio, spec.Grace = tt.stdio, tt.grace
			p, _ := start(t, spec)
			unheard(p)
			if err := p.Stop(bounded(t)); errors.Is(err, ErrKilled) != tt.killed || err != nil && !tt.killed {
				t.Errorf("stop: %v", err)
			}
			select {
			case <-p.Done():
			default:
				t.Error("Stop returned before Done")
			}
			last := tt.signal
			if tt.role == "polite" { // it exits by itself then
				last = "SIGTERM"
			}
			if got := p.StopSignal(); got != last {
				t.Errorf("the last signal is %q", got)
			}
			if err := unix.Kill(-p.Pid(), 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("the group: %v", err)
			}
			exit, _ := errors.AsType[*ExitError](p.Err())
			if got := exit != nil && exit.Signal == tt.signal && exit.Stopped; got != (tt.signal != "") {
				t.Errorf("it ended so: %v", p.Err())
			}
		})
	}
}

// A child that was stopped from outside still gets SIGTERM.
func TestStopReachesAStoppedChild(t *testing.T) {
	spec := as("polite")
	spec.Grace.Term = time.Hour
	p, pid := starting(t, spec)
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(bounded(t)); err != nil || p.Err() != nil {
		t.Errorf("stop: %v, %v", err, p.Err())
	}
}

func TestStopEndsWithContext(t *testing.T) {
	spec := as("stubborn")
	spec.Stdio, spec.Grace = true, Grace{Stdin: time.Hour, Term: time.Hour}
	p, _ := start(t, spec)
	unheard(p)
	ctx, cancel := context.WithCancel(t.Context())
	var stops sync.WaitGroup
	for range 8 {
		stops.Go(func() {
			if err := p.Stop(context.Background()); !errors.Is(err, ErrKilled) {
				t.Errorf("patient stop: %v", err)
			}
		})
	}
	stops.Go(func() {
		if err := p.Stop(ctx); !errors.Is(err, ErrKilled) {
			t.Errorf("impatient stop: %v", err)
		}
	})
	cancel()
	stops.Wait()
	if err := p.Stop(ctx); !errors.Is(err, ErrKilled) {
		t.Errorf("stop afterwards: %v", err)
	}
}

func TestStopWhileStdinIsFull(t *testing.T) {
	spec := as("frozen")
	spec.Stdio, spec.Grace = true, Grace{Stdin: time.Millisecond, Term: time.Millisecond}
	p, _ := start(t, spec)
	unheard(p)
	written := make(chan error)
	full := make(chan struct{})
	go func() {
		p.Stdin().Write(make([]byte, 4<<10))
		close(full)
		_, err := p.Stdin().Write(make([]byte, 1<<20))
		written <- err
	}()
	<-full
	if err := p.Stop(bounded(t)); !errors.Is(err, ErrKilled) {
		t.Errorf("stop: %v", err)
	}
	if err := <-written; err == nil {
		t.Error("a frozen child took 1 MiB")
	}
}

func TestKill(t *testing.T) {
	p, pid := starting(t, as("frozen"))
	p.Kill()
	p.Kill()
	wait(t, p)
	if exit, ok := errors.AsType[*ExitError](p.Err()); !ok || exit.Signal != "SIGKILL" || !exit.Stopped ||
		exit.Code != -1 {
		t.Errorf("it ended so: %v", p.Err())
	}
	if alive(pid) {
		t.Error("it is alive")
	}
}

func TestOwnGroup(t *testing.T) {
	p, pid := starting(t, as("ignores stdin"))
	if group, err := unix.Getpgid(pid); group != pid || pid != p.Pid() || err != nil {
		t.Errorf("its group is %d, %v, not %d", group, err, p.Pid())
	}
}

// What a child started ends with it, however it ends.
func TestGroupEndsTogether(t *testing.T) {
	spec := as("parent of stubborn")
	spec.Grace.Term = 10 * time.Millisecond
	for name, end := range map[string]func(*Process){
		"stopped":                 func(p *Process) { p.Stop(bounded(t)) }, // so little patience: by either signal
		"killed":                  func(p *Process) { p.Kill() },
		"killed by somebody else": func(p *Process) { unix.Kill(p.Pid(), unix.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			p, grandchild := starting(t, spec)
			end(p)
			wait(t, p)
			dead(t, grandchild)
		})
	}
	t.Run("gone by itself", func(t *testing.T) {
		spec := as("father of stubborn")
		spec.Grace.Term = 10 * time.Millisecond
		p, grandchild := starting(t, spec)
		wait(t, p)
		dead(t, grandchild)
		if p.Err() != nil {
			t.Error(p.Err())
		}
	})
}

// The real server behind a wrapper that dies at once, of SIGTERM or by accident, has time to end
// well.
func TestWrappedServerEndsWell(t *testing.T) {
	for name, end := range map[string]func(*Process) error{
		"stopped":        func(p *Process) error { return p.Stop(bounded(t)) },
		"wrapper killed": func(p *Process) error { return unix.Kill(p.Pid(), unix.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			spec := as("parent of polite")
			spec.Grace.Term = time.Hour
			p, _ := starting(t, spec)
			if err := end(p); err != nil {
				t.Error(err)
			}
			wait(t, p)
			if tail := p.Tail(); tail[len(tail)-1] != "farewell" {
				t.Errorf("it said %q", tail)
			}
		})
	}
}

// When ctx ends, nobody waits for what the leader has left behind, in its group or out of it.
func TestStopKillsTheRestWhenItsContextEnds(t *testing.T) {
	for _, role := range []string{"parent of stubborn", "parent of escaped"} {
		spec := as(role)
		spec.Grace.Term = time.Hour
		p, grandchild := starting(t, spec)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-p.exited
			cancel()
		}()
		if err := p.Stop(ctx); err != nil {
			t.Errorf("the leader itself ends on SIGTERM: %v", err)
		}
		if role == "parent of escaped" && !guard.Finds {
			unix.Kill(grandchild, unix.SIGKILL)
		}
		dead(t, grandchild)
	}
}

// A daemon has left the group. It has its time to end, as others have, and ends.
func TestDaemonsEndWithTheChild(t *testing.T) {
	if !guard.Finds {
		t.Skip("nobody finds them on this platform")
	}
	farewell := filepath.Join(t.TempDir(), "farewell")
	p, daemon := starting(t, as("father of polite daemon", "FAREWELL="+farewell))
	wait(t, p)
	dead(t, daemon)
	if _, err := os.Stat(farewell); err != nil {
		t.Errorf("it had no time to clean up: %v", err)
	}
	p, daemon = starting(t, as("father of escaped"))
	wait(t, p)
	dead(t, daemon)
}

// A process that left the group and keeps the pipes is not ours any more, and does not hold us.
func TestEscapedGrandchildDoesNotHoldDone(t *testing.T) {
	for _, stdio := range []bool{false, true} {
		spec := as("father of stranger")
		spec.Stdio = stdio
		spec.Grace.Term = 10 * time.Millisecond
		p, grandchild := starting(t, spec)
		wait(t, p)
		if !alive(grandchild) {
			t.Error("it is not alive: the test shows nothing")
		}
		unix.Kill(grandchild, unix.SIGKILL)
		dead(t, grandchild)
	}
}
