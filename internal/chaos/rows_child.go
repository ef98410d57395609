//go:build linux

package main

import (
	"context"
	"strings"
	"syscall"
	"time"
)

func childRows() []row {
	return []row{
		{"child-kill", "kill -9 of a child in the middle of calls", true, childKill},
		{"foreign-kill", "kill -9 of a foreign child in the middle of calls", true, foreignKill},
		{"child-stop", "SIGSTOP of a child, arguments of 1 B", true, childStop(1)},
		{"child-stop-1M", "SIGSTOP of a child, arguments of 1 MB", false, childStop(1 << 20)},
	}
}

// oneChild is a child beside an agent that goes on.
const oneChild = `
project: chaos
defaults: {timeout: 10s}
gateway: {listen: "127.0.0.1:0"}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  child: {type: tally, communicator: mcp-stdio, config: {ledger: LEDGER}}
  foreign: {command: [CREW, foreign, -ledger, LEDGER]}
`

func childKill(ctx context.Context, t *trial) error {
	return kill(ctx, t, "child", "child_work", "child_read")
}

func foreignKill(ctx context.Context, t *trial) error { return kill(ctx, t, "foreign", "foreign_work") }

// kill kills a child in which several calls run.
func kill(ctx context.Context, t *trial, agent string, tools ...string) error {
	s, err := t.start(ctx, "openmas", oneChild)
	if err != nil {
		return err
	}
	pid, err := t.warm(ctx, s.url, tools[0])
	if err != nil {
		return err
	}
	targets := []target{{tool: "here_work", ms: 5}}
	for _, tool := range tools {
		targets = append(targets, target{tool: tool, ms: 50, safe: strings.HasSuffix(tool, "_read")})
	}
	before, err := t.warmUp(ctx, s, 12, targets...)
	if err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 12, 10*time.Millisecond, targets...); err != nil {
		return err
	}
	pause(ctx, time.Second)
	fault := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	pause(ctx, 3*time.Second)
	t.load.stop()
	asks := of(t.load.all(), tools...)
	t.Detected, _ = firstFailed(asks, fault) // none, if no call was in flight at that moment
	t.within("the callers were told", told(asks, fault), 100*time.Millisecond)
	t.recovered(asks, fault, time.Second)
	t.nothingFailed(of(t.load.all(), "here_work", agent+"_read"))
	t.compare(ctx, s, before)
	t.judge(time.Time{})
	return nil
}

// told is when the last call failed that was in flight at the fault.
func told(asks []*ask, fault time.Time) (d time.Duration) {
	for _, a := range asks {
		if !a.ok() && a.began.Before(fault) && a.ended.After(fault) {
			d = max(d, a.ended.Sub(fault))
		}
	}
	return d
}

// childStop suspends a child under load, in which it then replaces it.
func childStop(pad int) func(context.Context, *trial) error {
	const timeout = 3 * time.Second
	return func(ctx context.Context, t *trial) error {
		s, err := t.start(ctx, "openmas", oneChild, "--set", "agents.child.timeout=3s")
		if err != nil {
			return err
		}
		pid, err := t.warm(ctx, s.url, "child_work")
		if err != nil {
			return err
		}
		was, _, _ := stat(pid)
		callers := 12
		if pad > 1000 {
			callers = 4 // a megabyte each
		}
		targets := []target{{tool: "here_work", ms: 5},
			{tool: "child_work", ms: 10, job: map[string]any{"pad": strings.Repeat("x", pad)}}}
		before, err := t.warmUp(ctx, s, callers, targets...)
		if err != nil {
			return err
		}
		if err := t.beginLoad(ctx, s.url, callers, 20*time.Millisecond, targets...); err != nil {
			return err
		}
		pause(ctx, time.Second)
		fault := time.Now()
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		took, gone := eventually(ctx, 30*time.Second, func() bool { return !was.alive() })
		if !gone {
			t.broken("the child was not replaced within %v", took.Round(time.Second))
		}
		t.Detected = took
		t.within("the stopped child was killed", took, 15*time.Second)
		pause(ctx, 2*time.Second)
		t.load.stop()
		asks := of(t.load.all(), "child_work")
		t.within("the slowest call was answered", slowest(asks), timeout+500*time.Millisecond)
		t.recovered(asks, fault, 15*time.Second)
		t.nothingFailed(of(t.load.all(), "here_work"))
		t.compare(ctx, s, before)
		t.judge(time.Time{})
		return nil
	}
}
