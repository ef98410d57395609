package runtime_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// hang is a generous bound on what must not take for ever.
const hang = testkit.Hang

// system is a running project.
type system struct {
	*runtime.Runtime
	t    *testing.T
	ctx  context.Context // to call agents with
	stop context.CancelFunc
	done chan error
	log  *testkit.Buffer
}

// start runs cfg with the test binary's types, waits until it is up, and stops it at the end of the
// test.
func start(t *testing.T, cfg *project.Config, extra agent.Types, change ...func(*runtime.Options)) *system {
	t.Helper()
	s := prepare(t, cfg, extra, change...)
	s.run()
	select {
	case <-s.Ready():
	case err := <-s.done:
		close(s.done)
		t.Fatalf("the system did not start: %v\n%s", err, s.log)
	case <-time.After(hang):
		t.Fatalf("the system hangs at start\n%s", s.log)
	}
	return s
}

func prepare(t *testing.T, cfg *project.Config, extra agent.Types, change ...func(*runtime.Options)) *system {
	t.Helper()
	s := &system{t: t, done: make(chan error, 1), log: &testkit.Buffer{}}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Agents = maps.Clone(cfg.Agents)
	for name, a := range cfg.Agents {
		if a.Command != nil || a.Communicator == project.OverStdio {
			testkit.Processes(t)
			if a.Env = maps.Clone(a.Env); a.Env == nil {
				a.Env = map[string]string{}
			}
			a.Env["GORACE"] = testkit.NoExitSleep
			cfg.Agents[name] = a
		}
	}
	o := runtime.Options{Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Output: io.Discard, Version: "test", ChildEnv: map[string]string{"GORACE": testkit.NoExitSleep}}
	for _, f := range change {
		f(&o)
	}
	r, err := runtime.New(cfg, types(extra), o)
	if err != nil {
		t.Fatal(err)
	}
	s.Runtime = r
	return s
}

func (s *system) run() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.ctx = agent.WithEnv(s.t.Context(), agent.Env{Name: "test", Directory: s.Directory()})
	go func() { s.done <- s.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := s.wait(); err != nil && !s.t.Failed() {
			s.t.Errorf("the system ended with: %v\n%s", err, s.log)
		}
	})
}

// wait returns what Run returned; a second time, nil.
func (s *system) wait() error {
	select {
	case err, ok := <-s.done:
		if ok {
			close(s.done)
		}
		return err
	case <-time.After(hang):
		s.t.Fatalf("the system does not end\n%s", s.log)
		return nil
	}
}

// agentStatus finds one agent's.
func (s *system) agentStatus(name string) runtime.AgentStatus {
	for _, a := range s.Status().Agents {
		if a.Name == name {
			return a
		}
	}
	s.t.Fatalf("no agent %s in the status", name)
	return runtime.AgentStatus{}
}

// overs are the communicators of a Go type.
var overs = []string{project.OverLocal, project.OverPubSub, project.OverStdio, project.OverSSE, project.OverHTTP}
