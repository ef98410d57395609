//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func startRows() []row {
	return []row{
		{"restart-wait", "calls during a restart that takes a second", true, restartWait},
		{"crash-loop", "programs that end at their start, and a Runner that panics", false, crashLoop},
		{"critical", "a critical agent that panics in every Run", true, critical},
		{"start-panic", "a Go struct that panics at its start", true, startPanic},
		{"reload", "50 reloads under load", false, reload},
	}
}

// state is what `openmas status` says of an agent's first instance.
type state struct {
	State    string    `json:"state"`
	Restarts int       `json:"restarts"`
	Error    string    `json:"error"`
	Last     []string  `json:"lastLines"`
	Next     time.Time `json:"next"`
}

// status asks the system as an operator does.
func (t *trial) status(ctx context.Context, s *system, agent string) (state, error) {
	out, err := t.command(ctx, "status", "--json", "-p", s.file)
	if err != nil {
		return state{}, err
	}
	var all struct {
		Processes []struct {
			Agents []struct {
				Name      string  `json:"name"`
				Instances []state `json:"instances"`
			} `json:"agents"`
		} `json:"processes"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return state{}, err
	}
	for _, p := range all.Processes {
		for _, a := range p.Agents {
			if a.Name == agent && len(a.Instances) > 0 {
				return a.Instances[0], nil
			}
		}
	}
	return state{}, fmt.Errorf("no agent %s in the status", agent)
}

// command runs a command of openmas, and returns its standard output.
func (t *trial) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, t.crew, args...)
	cmd.Dir = t.dir
	cmd.Env = append(cmd.Environ(), "XDG_RUNTIME_DIR="+t.dir)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("openmas %s: %w: %s", args[0], err, said.String())
	}
	return string(out), nil
}

// restartWait kills two children that start slowly, and calls them at once.
func restartWait(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", `
project: chaos
gateway: {listen: "127.0.0.1:0"}
agents:
  child: {type: tally, communicator: mcp-stdio, config: {ledger: LEDGER, delay: 1000}}
  foreign: {command: [CREW, foreign, -ledger, LEDGER, -delay, 1s]}
`)
	if err != nil {
		return err
	}
	var pids []int
	for _, agent := range []string{"child_work", "foreign_work"} {
		pid, err := t.warm(ctx, s.url, agent)
		if err != nil {
			return err
		}
		pids = append(pids, pid)
	}
	clients, err := t.callers(ctx, s.url, 4)
	if err != nil {
		return err
	}
	fault := time.Now()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	pause(ctx, 100*time.Millisecond) // what is sent before anybody knows may have run
	asks := t.load.many(ctx, 40, func(i int) client { return clients[i%len(clients)] }, func(i int) target {
		return target{tool: []string{"child_work", "foreign_work"}[i%2]}
	})
	t.load.stop()
	t.nothingFailed(asks)
	t.recovered(asks, fault, 3*time.Second)
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

// crashLoop has agents that never come up beside one that serves.
func crashLoop(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", `
project: chaos
gateway: {listen: "127.0.0.1:0"}
start: {wait: 2s}
reconnect: {initial: 100ms}
restart: {backoff: 500ms}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  ends: {command: [CREW, foreign, -exit, "3"]}
  missing: {command: [./no-such-program]}
  runs: {type: tally, config: {ledger: LEDGER, panics: run}}
`)
	if err != nil {
		return err
	}
	targets := []target{{tool: "here_work", ms: 5}, {tool: "runs_work", ms: 5}}
	if err := t.beginLoad(ctx, s.url, 4, 20*time.Millisecond, targets...); err != nil {
		return err
	}
	pause(ctx, 6*time.Second)
	t.load.stop()
	t.nothingFailed(t.load.all())
	ends, err := t.status(ctx, s, "ends")
	if err != nil {
		return err
	}
	words := ends.Error + strings.Join(ends.Last, " ")
	if time.Until(ends.Next) < 2*time.Second || !strings.Contains(words, "told to end") {
		t.broken("a program that ends at each start does not rest, or its last words are missing: %+v", ends)
	}
	missing, err := t.status(ctx, s, "missing")
	if err != nil {
		return err
	}
	if missing.State != "failed" || !missing.Next.IsZero() {
		t.broken("a program that does not exist is tried again: %+v", missing)
	}
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

// critical wants the run to end, with the agent and its panic in the log.
func critical(ctx context.Context, t *trial) error {
	return ends(ctx, t, `
project: chaos
restart: {limit: 2, backoff: 200ms, give_up_after: 1}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  runs: {type: tally, critical: true, config: {ledger: LEDGER, panics: run}}
`, "runs", "told to panic in run")
}

// startPanic is a part of the program that does not work: the run ends.
func startPanic(ctx context.Context, t *trial) error {
	return ends(ctx, t, `
project: chaos
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  starts: {type: tally, communicator: mcp-stdio, config: {ledger: LEDGER, panics: start}}
`, "starts", "told to panic at start")
}

// ends runs a project that ends by itself with exit code 1, and words about why.
func ends(ctx context.Context, t *trial, yaml string, words ...string) error {
	s, err := t.begin("openmas", yaml)
	if err != nil {
		return err
	}
	took, code, err := s.end(ctx, 30*time.Second)
	if err != nil {
		t.broken("%v", err)
		return nil
	}
	t.Detected = took
	if code != 1 {
		t.broken("exit code %d", code)
	}
	for _, word := range words {
		if !strings.Contains(s.said(), word) {
			t.broken("what it says at the end has no %q: %s", word, s.said())
		}
	}
	return nil
}

// reload changes the project of a system under load again and again.
func reload(ctx context.Context, t *trial) error {
	const times = 50
	s, err := t.start(ctx, "openmas", everyWay)
	if err != nil {
		return err
	}
	var targets []target
	for _, way := range ways {
		targets = append(targets, target{tool: way + "_work", ms: 20}, target{tool: way + "_read", ms: 20, safe: true})
	}
	before, err := t.warmUp(ctx, s, 10, targets...)
	if err != nil {
		return err
	}
	if err := t.beginLoad(ctx, s.url, 10, 10*time.Millisecond, targets...); err != nil {
		return err
	}
	for i := range times {
		// The configuration of each agent differs from the one before.
		changed := regexp.MustCompile(`ledger: LEDGER\}`).ReplaceAllString(everyWay,
			fmt.Sprintf("ledger: LEDGER, slow: %d}", i+1))
		if _, err := t.prepare("openmas", changed); err != nil {
			return err
		}
		began := time.Now()
		if _, err := t.command(ctx, "reload", "-p", s.file); err != nil {
			t.broken("reload %d: %v", i+1, err)
			break
		}
		t.Recovered = max(t.Recovered, time.Since(began))
	}
	t.load.stop()
	t.nothingFailed(t.load.all())
	t.compare(ctx, s, before)
	t.judge(time.Time{})
	return nil
}
