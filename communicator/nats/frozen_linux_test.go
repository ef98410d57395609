package nats

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

// The process that runs the broker is suspended, and keeps its lock: the others end it, and take
// over with what it kept.
func TestOwnerIsFrozen(t *testing.T) {
	dir := t.TempDir()
	owner, said := spawn(t, "first", dirVar+"="+dir)
	if said != "owner" {
		t.Fatal(said)
	}
	if _, said := spawn(t, "second", dirVar+"="+dir); said != "client" {
		t.Fatal(said)
	}
	d := open(t, Options{Project: "test", StateDir: dir})
	v := durable(t, d, DurableOptions{})
	keep(t, v, agent.Event{ID: "1", Topic: "t"})
	c := process(t, d)
	call := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Hang)
		defer cancel()
		p, err := c.Dial(ctx, "second")
		if err != nil {
			return err
		}
		c := &agent.Call{Op: agent.OpTool, Agent: "second", Name: "x", Input: []byte(`1`)}
		if _, err = p.Call(ctx, c); err != nil {
			return err
		}
		return p.Close(ctx)
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	old, err := readAccess(dir)
	if err != nil || old.Started == 0 {
		t.Fatal(old, err)
	}
	if err := owner.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	frozen := time.Now()
	testkit.Eventually(t, "another one runs the broker", func() bool {
		now, err := readAccess(dir)
		return err == nil && now != nil && now.PID != old.PID
	})
	took := time.Since(frozen)
	testkit.Eventually(t, "calls work again", func() bool { return call() == nil })
	t.Logf("another process ran the broker %v after its owner was frozen, calls worked after %v",
		took.Round(time.Millisecond), time.Since(frozen).Round(time.Millisecond))
	_ = owner.end() // it was killed
	if s := owner.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		t.Errorf("the owner ended with %v", owner.cmd.ProcessState)
	}
	got := make(chan string, 1)
	listen(t, v, "a", "t", func(_ context.Context, p agent.Event, _ int) error { got <- p.ID; return nil })
	if id := testkit.Receive(t, got); id != "1" {
		t.Error(id)
	}
}

// Only the very process is ended.
func TestWhomToEnd(t *testing.T) {
	testkit.Processes(t)
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	pid := sleep.Process.Pid
	started := startOf(pid)
	if started == 0 || started < startOf(os.Getpid()) {
		t.Error(started)
	}
	if ended, err := endProcess(pid, started-1); ended || err != nil {
		t.Errorf("one that was started at another time: %v, %v", ended, err)
	}
	if ended, err := endProcess(pid, started); !ended || err != nil {
		t.Error(ended, err)
	}
	if err := sleep.Wait(); fmt.Sprint(err) != "signal: killed" {
		t.Error(err)
	}
	if ended, err := endProcess(pid, started); ended || err != nil {
		t.Errorf("one that has ended: %v, %v", ended, err)
	}
}
