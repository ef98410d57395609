package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// idleFor makes the agents of a project park.
func idleFor(cfg *project.Config, d time.Duration, names ...string) *project.Config {
	for _, name := range names {
		a := cfg.Agents[name]
		a.IdleStop = d
		cfg.Agents[name] = a
	}
	return cfg
}

// parked waits until all instances of an agent are parked.
func (s *system) parked(name string) {
	s.t.Helper()
	testkit.Eventually(s.t, name+" is parked", func() bool {
		for _, i := range s.agentStatus(name).Instances {
			if i.State != runtime.StateIdle || i.PID != 0 {
				return false
			}
		}
		return true
	})
}

// An agent that is parked has no process, stays listed, is no failure of the system, and comes back
// for a call, for an event and for its operator. None of that is a restart.
func TestIdleStop(t *testing.T) {
	t.Parallel()
	launched := stranger(t, "sse", nil)
	launched.Communicator = project.OverSSE
	cfg := pair(project.OverStdio)
	cfg.Agents["docs"], cfg.Agents["launched"] = stranger(t, "stdio", nil), launched
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
	all := []string{"far", "docs", "launched"}
	s := start(t, idleFor(cfg, 500*time.Millisecond, all...), nil)
	for _, name := range all {
		s.parked(name)
		if st := s.agentStatus(name); st.State != runtime.StateIdle || len(st.Tools) == 0 ||
			st.Instances[0].Error != "" {
			t.Errorf("%+v", st)
		}
	}
	res, err := http.Get(s.Status().URL + "/readyz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Error(res, err)
	} else if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if out, err := agent.Ask[note](s.ctx, "far.say", note{Text: "hi"}); err != nil || out.Text != "far hi" {
		t.Error(out, err)
	}
	for _, name := range []string{"docs", "launched"} {
		if out, err := agent.Ask[string](s.ctx, name+".docs.search", note{Text: "x"}); err != nil || out != "found x" {
			t.Error(out, err)
		}
	}
	s.parked("far")
	if _, err := agent.Ask[string](s.ctx, "near.publish", note{Text: "wake up"}); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "the event started it", func() bool {
		heard, err := agent.Ask[[]string](s.ctx, "far.heard", nil)
		return err == nil && len(heard) == 1
	})
	for _, verb := range []string{"restart", "start"} {
		s.parked("far")
		if done, err := s.Operate(t.Context(), verb, "far", -1); err != nil ||
			done.Instances[0].State != runtime.StateReady {
			t.Errorf("%s: %+v, %v", verb, done, err)
		}
	}
	s.parked("far")
	if done, err := s.Operate(t.Context(), "stop", "far", -1); err != nil ||
		done.Instances[0].State != runtime.StateStopped {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := agent.Ask[note](s.ctx, "far.say", note{}); err == nil ||
		!strings.Contains(err.Error(), "openmas start far starts it") {
		t.Error(err)
	}
	for _, name := range all {
		if n := s.agentStatus(name).Instances[0].Restarts; n != 0 {
			t.Errorf("%s: %d restarts", name, n)
		}
	}
	if log := s.log.String(); strings.Contains(log, "runs again") || strings.Contains(log, "level=ERROR") ||
		!strings.Contains(log, "an agent is parked") || !strings.Contains(log, "an agent that was parked is back") {
		t.Error(log)
	}
}

// Agents that are parked all the time lose no call and run none twice, with one instance and two.
func TestIdleStopUnderLoad(t *testing.T) {
	t.Parallel()
	for replicas := 1; replicas <= 2; replicas++ {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			cfg := idleFor(pair(project.OverStdio), 3*time.Millisecond, "far")
			far := cfg.Agents["far"]
			far.Replicas = replicas
			cfg.Agents["far"] = far
			s := start(t, cfg, nil)
			b := testkit.NewLoad(t, filepath.Join(t.TempDir(), "book"))
			for n := range 3 {
				b.Caller(func(k int) error {
					_, err := agent.Ask[string](context.WithoutCancel(s.ctx), "far.book", note{Text: b.Ledger, N: k})
					pause := time.NewTimer(time.Duration(k*(n+1)%9) * time.Millisecond)
					<-pause.C
					return err
				})
			}
			testkit.Eventually(t, "it was parked a few times", func() bool {
				return strings.Count(s.log.String(), "an agent is parked") >= 8 && b.Calls() > 40
			})
			b.Audit()
			if strings.Contains(s.log.String(), "runs again") {
				t.Error(s.log)
			}
		})
	}
}

// The calls of work in flight reach an agent that is parked while the system drains.
func TestAParkedAgentServesWorkInFlightWhileTheSystemDrains(t *testing.T) {
	t.Parallel()
	cfg := idleFor(pair(project.OverStdio), 300*time.Millisecond, "far")
	cfg.Gateway, cfg.Drain.Timeout = &project.Gateway{Listen: "127.0.0.1:0"}, testkit.Hang
	s := start(t, cfg, nil)
	session := connect(t, s.Status().URL+"/mcp")
	s.parked("far")
	release, answer := filepath.Join(t.TempDir(), "go on"), make(chan error, 1)
	go func() { // near waits, then asks far
		res, err := session.CallTool(context.Background(),
			&sdk.CallToolParams{Name: "near_wait-nested", Arguments: map[string]any{"text": release}})
		if err == nil && res.IsError {
			err = errors.New(res.Content[0].(*sdk.TextContent).Text)
		}
		answer <- err
	}()
	testkit.Eventually(t, "the call is in flight", func() bool { return s.agentStatus("near").InFlight == 1 })
	s.stop()
	testkit.Eventually(t, "the system drains", func() bool { return s.Status().State == "draining" })
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, answer); err != nil {
		t.Error(err)
	}
}

// What cannot be parked is refused in words that say why.
func TestIdleStopIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		agent project.Agent
		want  string
	}{
		"in process": {project.Agent{Type: "probe"}, "only a child process"},
		"url":        {project.Agent{URL: "https://example.org/mcp"}, "only a child process"},
		"runner": {project.Agent{Type: "runs", Communicator: project.OverStdio},
			"has a Runner, which works without"},
	} {
		tt.agent.IdleStop = time.Minute
		_, err := runtime.New(&project.Config{Agents: map[string]project.Agent{"a": tt.agent}}, types(nil),
			runtime.Options{})
		if err == nil || !strings.Contains(err.Error(), "agents.a.idle_stop: ") ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A process that does not come back is a failure as any other: it is tried again, and the call says
// why.
func TestAParkedAgentThatDoesNotComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	docs := stranger(t, "stdio", nil)
	program := filepath.Join(dir, "program")
	if err := os.Symlink(docs.Command[0], program); err != nil {
		t.Skip(err)
	}
	docs.Command = []string{program}
	s := start(t, idleFor(&project.Config{Agents: map[string]project.Agent{"docs": docs}}, 300*time.Millisecond,
		"docs"), nil)
	s.parked("docs")
	if err := os.Rename(program, program+" away"); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err == nil ||
		!strings.Contains(err.Error(), program) || !agent.AsError(err).NotExecuted {
		t.Error(err)
	}
	if err := os.Rename(program+" away", program); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is back", func() bool {
		out, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"})
		return err == nil && out == "found x"
	})
}
