//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

func serverRows() []row {
	return []row{
		{"server-stop", "SIGSTOP of a url's server, idle", false, serverStop},
		{"python-kill", "kill -9 of a Python 1.6.0 server in the middle of calls", true, pythonKill},
		{"python-block", "a Python 1.6.0 server that answers no ping for 18 s, as its tool blocks", false, pythonBlock},
	}
}

// serverStop suspends a server on another machine, as it were, to which nobody talks.
func serverStop(ctx context.Context, t *trial) error {
	far, err := t.start(ctx, "far", farYAML)
	if err != nil {
		return err
	}
	s, err := t.start(ctx, "openmas", `
project: chaos
defaults: {timeout: 3s}
gateway: {listen: "127.0.0.1:0"}
agents:
  sse: {url: "`+far.url+`/agents/far/sse"}
  http: {url: "`+far.url+`/agents/far/mcp"}
`)
	if err != nil {
		return err
	}
	if _, err := t.warm(ctx, s.url, "sse_work"); err != nil {
		return err
	}
	if err := syscall.Kill(far.pid(), syscall.SIGSTOP); err != nil {
		return err
	}
	for _, agent := range []string{"sse", "http"} {
		took, ok := eventually(ctx, 30*time.Second, func() bool {
			st, err := t.status(ctx, s, agent)
			return err == nil && st.State != "ready"
		})
		if !ok {
			t.broken("nobody noticed that the server of %s is frozen", agent)
		}
		t.Detected += took // the second one is looked at after the first
	}
	t.within("it was noticed", t.Detected, 15*time.Second)
	if err := syscall.Kill(far.pid(), syscall.SIGCONT); err != nil {
		return err
	}
	thawed := time.Now()
	if err := t.beginLoad(ctx, s.url, 4, 50*time.Millisecond, target{tool: "sse_work"},
		target{tool: "http_work"}); err != nil {
		return err
	}
	pause(ctx, 8*time.Second)
	t.load.stop()
	for _, tool := range []string{"sse_work", "http_work"} {
		worst := t.Recovered
		t.recovered(of(t.load.all(), tool), thawed, 5*time.Second)
		t.Recovered = max(t.Recovered, worst)
	}
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

// python is a project with a server of the Python SDK 1.6.0, which is installed if it is not there.
func (t *trial) python(ctx context.Context) (*system, error) {
	if err := toolbox.PythonOld.Install(ctx, func(string) {}); err != nil {
		return nil, err
	}
	dir, _ := toolbox.PythonOld.Installed()
	script, err := filepath.Abs(filepath.Join("internal", "chaos", "testdata", "server.py"))
	if err != nil {
		return nil, err
	}
	return t.start(ctx, "openmas", fmt.Sprintf(`
project: chaos
defaults: {timeout: 30s}
gateway: {listen: "127.0.0.1:0"}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  python: {command: [%q, %q, LEDGER]}
`, toolbox.PythonIn(dir), script))
}

func pythonKill(ctx context.Context, t *trial) error {
	s, err := t.python(ctx)
	if err != nil {
		return err
	}
	pid, err := t.warm(ctx, s.url, "python_work")
	if err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 8, 20*time.Millisecond, target{tool: "here_work", ms: 5},
		target{tool: "python_work", ms: 50}); err != nil {
		return err
	}
	pause(ctx, time.Second)
	fault := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	pause(ctx, 5*time.Second)
	t.load.stop()
	asks := of(t.load.all(), "python_work")
	t.Detected, _ = firstFailed(asks, fault)
	t.within("the callers were told", told(asks, fault), 100*time.Millisecond)
	t.recovered(asks, fault, 4*time.Second) // its own start takes most of it
	t.nothingFailed(of(t.load.all(), "here_work"))
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

// pythonBlock wants a server that is busy, and not frozen, to be left alone.
func pythonBlock(ctx context.Context, t *trial) error {
	s, err := t.python(ctx)
	if err != nil {
		return err
	}
	clients, err := t.callers(ctx, s.url, 2)
	if err != nil {
		return err
	}
	asks := t.load.many(ctx, 2, func(i int) client { return clients[i] }, func(i int) target {
		return target{tool: []string{"python_block", "python_work"}[i], ms: []int{18000, 100}[i]}
	})
	t.load.stop()
	t.nothingFailed(asks)
	st, err := t.status(ctx, s, "python")
	if err != nil {
		return err
	}
	if st.Restarts > 0 {
		t.broken("a server that was busy was replaced")
	}
	t.Recovered = slowest(asks)
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}
