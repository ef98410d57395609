//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

func stopRows() []row {
	return []row{
		{"sigterm", "SIGTERM with 200 nested calls in flight", true, sigterm},
		{"circle", "200 nested calls at once, in circles", false, circle},
		{"sigterm-long", "SIGTERM with calls longer than the drain", true, sigtermLong},
		{"sigterm-twice", "a second SIGTERM", true, sigtermTwice},
		{"runtime-kill", "kill -9 of the runtime, with an npx child", true, runtimeKill},
	}
}

// everyWay has an agent on each communicator, and a foreign one.
const everyWay = `
project: chaos
defaults: {timeout: 20s}
gateway: {listen: "127.0.0.1:0"}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  bus: {type: tally, communicator: pubsub, config: {ledger: LEDGER}}
  child: {type: tally, communicator: mcp-stdio, config: {ledger: LEDGER}}
  sse: {type: tally, communicator: mcp-sse, config: {ledger: LEDGER}}
  http: {type: tally, communicator: mcp-http, config: {ledger: LEDGER}}
  foreign: {command: [CREW, foreign, -ledger, LEDGER]}
`

// ways are the agents of everyWay that are ours.
var ways = []string{"here", "bus", "child", "sse", "http"}

// nested are calls that begin at one of the ways and pass those behind it, down to the foreign one:
// never in a circle, in which calls would wait for each other's places.
func nested(i int) target {
	from := i % len(ways)
	var to []string
	for _, way := range ways[from+1:] {
		to = append(to, way+".nested")
	}
	return target{tool: ways[from] + "_nested", ms: 150, job: map[string]any{"to": append(to, "foreign.work")}}
}

func sigterm(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", everyWay)
	if err != nil {
		return err
	}
	answers, err := t.inFlight(ctx, s, 200, 200, nested)
	if err != nil {
		return err
	}
	t.RSS = memory(s.pid(), "VmHWM:")
	stopped := time.Now()
	s.terminate()
	took, code, err := s.end(ctx, 40*time.Second)
	if err != nil {
		t.broken("%v", err)
		s.kill()
	}
	t.nothingFailed(answers())
	t.load.stop()
	t.Recovered = took
	t.within("it ended", took, 25*time.Second)
	if code != 0 {
		t.broken("exit code %d: %s", code, s.said())
	}
	t.judge(stopped)
	return nil
}

// circle has calls begin at each of the ways and pass all others: each waits for places that the
// others hold.
func circle(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", everyWay)
	if err != nil {
		return err
	}
	answers, err := t.inFlight(ctx, s, 200, 100, func(i int) target {
		to := make([]string, 0, len(ways))
		for k := 1; k < len(ways); k++ {
			to = append(to, ways[(i+k)%len(ways)]+".nested")
		}
		return target{tool: ways[i%len(ways)] + "_nested", ms: 150, job: map[string]any{"to": to}}
	})
	if err != nil {
		return err
	}
	asks := answers()
	t.load.stop()
	t.Recovered = slowest(asks)
	t.within("the slowest call ended", t.Recovered, 10*time.Second)
	t.nothingFailed(asks)
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

// stopText is what every error of a stop says, those of calls that came during it too.
var stopText = regexp.MustCompile("stopped|stopping|shutting down")

func sigtermLong(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", everyWay, "--set", "drain.timeout=4s", "--set", "defaults.max_in_flight=8",
		"--set", "defaults.timeout=30s")
	if err != nil {
		return err
	}
	answers, err := t.inFlight(ctx, s, 100, len(ways)*8, func(i int) target {
		return target{tool: ways[i%len(ways)] + "_work", ms: 30000}
	})
	if err != nil {
		return err
	}
	t.RSS = memory(s.pid(), "VmHWM:")
	stopped := time.Now()
	s.terminate()
	took, _, err := s.end(ctx, 40*time.Second)
	if err != nil {
		t.broken("%v", err)
		s.kill()
	}
	t.Detected, _ = firstFailed(answers(), stopped)
	t.load.stop()
	t.Recovered = took
	t.within("it ended", took, 4*time.Second+time.Second)
	for _, a := range t.load.all() {
		if !a.none && a.code != "outcome_unknown" && a.code != "unavailable" {
			t.broken("a call that was cut has the code %q: %s", a.code, a.text)
		}
		if a.code == "unavailable" && !a.notRun || a.code != "" && !stopText.MatchString(a.text) {
			t.broken("the error of a call that was cut: %s: %s", a.code, a.text)
		}
	}
	t.judge(stopped)
	return nil
}

// longWork is the i-th call of many, spread over all communicators, that ends after 15 s.
func longWork(i int) target { return target{tool: ways[i%len(ways)] + "_work", ms: 15000} }

func sigtermTwice(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", everyWay)
	if err != nil {
		return err
	}
	if _, err := t.inFlight(ctx, s, 20, 20, longWork); err != nil {
		return err
	}
	t.RSS = memory(s.pid(), "VmHWM:")
	below := descendants(s.pid())
	s.terminate()
	pause(ctx, 500*time.Millisecond)
	s.terminate()
	took, _, err := s.end(ctx, 20*time.Second)
	if err != nil {
		t.broken("%v", err)
		s.kill()
	}
	t.Recovered = took
	t.within("it ended", took, time.Second)
	t.nobodyLeft(ctx, below)
	return nil
}

func runtimeKill(ctx context.Context, t *trial) error {
	yaml := everyWay
	for _, tool := range []*toolbox.Tool{toolbox.RealNode, toolbox.Node} {
		if err := tool.Install(ctx, func(string) {}); err != nil {
			return err
		}
	}
	servers, _ := toolbox.RealNode.Installed()
	runtime, _ := toolbox.Node.Installed()
	bin, err := toolbox.NodeIn(runtime)
	if err != nil {
		return err
	}
	yaml += fmt.Sprintf("  box: {command: [npx, --no-install, mcp-server-everything, stdio], dir: %q,\n"+
		"        env: {PATH: %q}}\n", servers, bin+":/usr/local/bin:/usr/bin:/bin")
	s, err := t.start(ctx, "openmas", yaml)
	if err != nil {
		return err
	}
	if _, err := t.inFlight(ctx, s, 20, 20, longWork); err != nil {
		return err
	}
	t.RSS = memory(s.pid(), "VmHWM:")
	below := descendants(s.pid())
	if len(below) < 4 {
		return fmt.Errorf("only %d processes: %s", len(below), filepath.Base(t.dir))
	}
	if err := syscall.Kill(s.pid(), syscall.SIGKILL); err != nil {
		return err
	}
	t.nobodyLeft(ctx, below)
	return nil
}
