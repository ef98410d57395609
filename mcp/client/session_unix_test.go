//go:build unix

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
)

// TestKilledChild: the calls in flight are over at once, and it is known that they may have run.
func TestKilledChild(t *testing.T) {
	s := mustConnect(t, role(t, "server", mcp.Stdio), Options{})
	errs := make(chan error, 3)
	for range cap(errs) {
		go func() {
			_, err := call(t.Context(), s, "hang", nil, nil)
			errs <- err
		}()
	}
	testkit.Eventually(t, "the calls are made", func() bool { return s.gate.InFlight() == cap(errs) })
	mustCall(t, s, "echo", nil, nil) // which is sent after them
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range cap(errs) {
		fixture.WantError(t, await(t, errs, "a call"), agent.CodeOutcomeUnknown, false)
	}
	await(t, s.Done(), "Done")
	if err := s.Err(); !strings.Contains(err.Error(), "SIGKILL") {
		t.Errorf("why it ended: %v", err)
	}
}

// TestFrozenChild: a program that reads nothing costs its own calls only, each until its deadline,
// and Close only its patience.
func TestFrozenChild(t *testing.T) {
	s := mustConnect(t, role(t, "server", mcp.Stdio),
		Options{StdinGrace: 50 * time.Millisecond, TermGrace: 50 * time.Millisecond, PingInterval: -1})
	if err := syscall.Kill(s.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	big := json.RawMessage(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`)
	call := func() (sent bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "echo", Input: big, Back: agent.BackChannelFuncs{}})
		fixture.WantError(t, err, agent.CodeDeadlineExceeded, agent.AsError(err).NotExecuted)
		return !agent.AsError(err).NotExecuted
	}
	// On a busy machine, a call's time may be over before it is written.
	testkit.Eventually(t, "a call fills the pipe, and some of it is sent", call)
	for range 2 {
		call()
	}
	if call() {
		t.Error("a call was sent behind the one that fills the pipe")
	}
	select {
	case <-s.Done():
		t.Error("the session is over")
	default:
	}
	if err := s.Close(t.Context()); err != nil && !strings.Contains(err.Error(), "killed") {
		t.Errorf("close: %v", err)
	}
	if err := syscall.Kill(s.Pid(), 0); err != syscall.ESRCH {
		t.Errorf("the child is still there: %v", err)
	}
}

// A program that was suspended is suspect soon after a call that ran into its deadline.
func TestSuspendedChildIsSuspect(t *testing.T) {
	suspect := make(chan bool, 2)
	s := mustConnect(t, role(t, "server", mcp.Stdio),
		Options{PingInterval: time.Hour, OnSuspect: func(is bool) { suspect <- is }})
	if err := syscall.Kill(s.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "a call is sent, and has no answer", func() bool {
		err := callFor(t.Context(), s, "echo", 100*time.Millisecond)
		fixture.WantError(t, err, agent.CodeDeadlineExceeded, agent.AsError(err).NotExecuted)
		return !agent.AsError(err).NotExecuted
	})
	if !await(t, suspect, "suspicion") {
		t.Error("it is not suspect")
	}
}

// A program that was suspended is given up, although a call waits for it.
func TestSuspendedChild(t *testing.T) {
	if !child.SeesSuspension {
		t.Skip("this platform does not tell")
	}
	for name, wrapped := range map[string]bool{"the program": false, "behind a wrapper": true} {
		t.Run(name, func(t *testing.T) {
			target := role(t, "server", mcp.Stdio)
			if wrapped {
				target.Command = append([]string{"sh", "-c", `"$@"; exit $?`, "sh"}, target.Command...)
			}
			s := mustConnect(t, target, Options{PingInterval: 20 * time.Millisecond})
			pid := s.Pid()
			if wrapped {
				out, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
				if err != nil {
					t.Fatal(err)
				}
				if pid, err = strconv.Atoi(strings.TrimSpace(string(out))); err != nil {
					t.Fatal(err)
				}
			}
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "it is suspended", func() bool {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				return err == nil && strings.Contains(string(stat), ") T ")
			})
			_, err := s.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "echo", Input: json.RawMessage(`{}`)})
			if agent.CodeOf(err) != agent.CodeOutcomeUnknown ||
				!strings.Contains(err.Error(), "suspended by a signal") {
				t.Error(err)
			}
			fixture.Receive(t, "the end", s.Done())
			if !errors.Is(s.Err(), ErrSuspended) {
				t.Error(s.Err())
			}
			if err := s.Close(t.Context()); err != nil && !strings.Contains(err.Error(), "killed") {
				t.Error(err)
			}
		})
	}
}

// TestFrozenChildWithoutTime: a Close whose time is up kills. How long the system then takes to
// bury the process is not up to it: whoever waits for that gets to know.
func TestFrozenChildWithoutTime(t *testing.T) {
	s := mustConnect(t, role(t, "server", mcp.Stdio), Options{StdinGrace: time.Hour, TermGrace: time.Hour})
	if err := syscall.Kill(s.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pid := s.Pid()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(over); err == nil {
		t.Error("a Close without time succeeded")
	}
	ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
	defer cancel()
	if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("close: %v", err)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("the child is still there: %v", err)
	}
}

// TestStubbornChild: one that ignores the end of its input gets SIGTERM.
func TestStubbornChild(t *testing.T) {
	target := Target{Name: "cat", Transport: mcp.Stdio, Command: []string{"sleep", "3600"}}
	_, err := Connect(t.Context(), target, Options{Logger: fixture.Quiet, HandshakeTimeout: 100 * time.Millisecond})
	fixture.WantError(t, err, agent.CodeUnavailable, true)
}
