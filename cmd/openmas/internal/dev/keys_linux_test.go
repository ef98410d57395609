package dev

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openmas/openmas/internal/testkit"
)

// On a terminal, keys restart what runs, change the level of the log, and show the status and the
// last trace. The terminal is given back as it was.
func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	r := &running{bench: b, cmd: b.command("dev", "demo/openmas.yaml")}
	keys, tty := testkit.Terminal(t, &r.err)
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = tty, tty, tty
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil { // the test has failed
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait()
		}
	})
	press := func(k string) {
		t.Helper()
		if _, err := keys.WriteString(k); err != nil {
			t.Fatal(err)
		}
	}
	r.await("keys: r restart, l log level, t last trace, s status, q quit")
	r.await("stop  q or Ctrl-C")
	r.await("SSE_SERVER_URL=")
	b.run("call", "host.welcome", "name=Ada", "-p", "demo/openmas.yaml")
	press("s")
	r.await("host/0     ready")
	testkit.Eventually(t, "the trace was written", func() bool {
		return strings.Contains(b.run("trace", "-p", "demo/openmas.yaml"), "welcome")
	})
	press("t")
	r.await("greeter.greet")
	press("l")
	r.await("log level: debug")
	testkit.Eventually(t, "agents know the level", func() bool {
		b.run("call", "host.welcome", "name=Ada", "-p", "demo/openmas.yaml")
		return strings.Contains(r.err.String()[r.seen:], "greeter call")
	})
	press("lllll")
	r.await("log level: debug")
	b.edit("demo/openmas.yaml", "project: demo", "project: other")
	r.await("project demo -> other; r restarts it with them")
	press("r")
	r.await("other is up: 2 agents")
	press("x?")
	r.await("keys: r restart")
	press("q")
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &r.err)
	}
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal was %+v, and is %+v, %v", before, after, err)
	}
}
