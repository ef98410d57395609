//go:build linux

package main

import (
	"context"
	"slices"
	"time"
)

func toolRows() []row {
	return []row{
		{"bad-tools", "panic, deadlock, 50 MB and invalid UTF-8 in tools, on each communicator", true, badTools},
		{"cycle", "a call cycle through a foreign child", false, cycle},
		{"flood", "10,000 calls at once to a foreign agent", true, flood},
	}
}

// badTools takes more bad calls than there are places, and then wants all places to be free.
func badTools(ctx context.Context, t *trial) error {
	const places = 4
	s, err := t.start(ctx, "openmas", everyWay+
		"  calm: {type: tally, communicator: mcp-stdio, config: {ledger: LEDGER}}\n",
		"--set", "defaults.max_in_flight=4", "--set", "defaults.timeout=3s", "--set", "agents.here.max_in_flight=off",
		"--set", "defaults.breaker=off")
	if err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 3, 10*time.Millisecond, target{tool: "calm_work", ms: 5}); err != nil {
		return err
	}
	clients, err := t.callers(ctx, s.url, 4)
	if err != nil {
		return err
	}
	at := func(i int) client { return clients[i%len(clients)] }
	for _, bad := range []struct {
		tool  string
		times int // on each communicator
		with  target
		may   []string // how it may end
	}{
		{"panic", 2 * places, target{}, []string{"internal"}},
		{"utf8", 2 * places, target{}, []string{"", "internal"}},
		{"work", 1, target{job: map[string]any{"bytes": 50 << 20}},
			[]string{"", "resource_exhausted", "deadline_exceeded"}},
		{"lock", 2 * places, target{ms: 5000}, []string{"deadline_exceeded", "resource_exhausted", "unavailable"}},
	} {
		asks := t.load.many(ctx, bad.times*len(ways), at, func(i int) target {
			to := bad.with
			to.tool = ways[i%len(ways)] + "_" + bad.tool
			return to
		})
		for _, a := range asks {
			// What ignores its deadline in the caller's process keeps its caller waiting.
			if !slices.Contains(bad.may, a.code) && !(a.tool == "here_lock" && a.ok()) {
				t.broken("%s ended with %q: %.200s", a.tool, a.code, a.text)
			}
		}
	}
	pause(ctx, 3*time.Second) // until the last of the deadlocks has ended
	began := time.Now()
	asks := t.load.many(ctx, 2*places*len(ways), at, func(i int) target {
		return target{tool: ways[i%len(ways)] + "_work", ms: 20}
	})
	t.nothingFailed(asks)
	t.recovered(asks, began, time.Second)
	t.within("all places were free", slowest(asks), 2*time.Second)
	t.load.stop()
	t.nothingFailed(of(t.load.all(), "calm_work"))
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

// cycle has a foreign program call itself through the system, which it does not know.
func cycle(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", oneChild, "--set", "defaults.timeout=5s")
	if err != nil {
		return err
	}
	clients, err := t.callers(ctx, s.url, 1)
	if err != nil {
		return err
	}
	a := t.load.ask(ctx, clients[0], target{tool: "foreign_back", safe: true,
		job: map[string]any{"to": []string{"foreign_back"}}})
	t.Detected = a.ended.Sub(a.began)
	pause(ctx, 200*time.Millisecond)
	ran := t.begun()
	if a.ok() || ran > 17 {
		t.broken("one call ran %d executions, 16 are the limit: %s: %.200s", ran, a.code, a.text)
	}
	pause(ctx, time.Second)
	if n := t.begun(); n > ran {
		t.broken("%d executions after the client was answered", n-ran)
	}
	t.load.stop()
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

func flood(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", oneChild, "--set", "defaults.timeout=15s")
	if err != nil {
		return err
	}
	targets := []target{{tool: "here_work", ms: 5}}
	before, err := t.warmUp(ctx, s, 4, targets...)
	if err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 4, 20*time.Millisecond, targets...); err != nil {
		return err
	}
	var clients []client
	for range 10 {
		c, err := t.load.dial(ctx, s.url, true)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	asks := t.load.many(ctx, 10000, func(i int) client { return clients[i%len(clients)] },
		func(int) target { return target{tool: "foreign_work", ms: 2} })
	t.load.stop()
	for _, a := range asks {
		if a.code != "" && a.code != "resource_exhausted" {
			t.broken("a call failed with %s: %.200s", a.code, a.text)
			break
		}
	}
	t.nothingFailed(of(t.load.all(), "here_work"))
	t.Recovered = slowest(asks)
	t.compare(ctx, s, before)
	if t.RSS > 400 {
		t.broken("%d MiB for 10,000 calls", t.RSS)
	}
	t.judge(time.Time{})
	return nil
}
