package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// moment is how long something that must not happen gets to happen.
const moment = 300 * time.Millisecond

// worker is an agent with a Runner and with tools that misbehave, for child processes.
type worker struct {
	Stay  bool   `json:"stay"`  // Run returns when it is told to, else at once
	Crash string `json:"crash"` // Run ends the process: "always", or until there is this file

	runs atomic.Int64
}

func (w *worker) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("exit", "", func(context.Context, note) (string, error) { os.Exit(7); return "", nil }),
		agent.NewTool("runs", "Say whether Run runs, or will within a moment.",
			func(ctx context.Context, _ note) (bool, error) {
				ctx, cancel := context.WithTimeout(ctx, moment)
				defer cancel()
				return w.runs.Load() > 0 || appearsWhen(ctx, func() bool { return w.runs.Load() > 0 }) == nil, nil
			}),
		agent.NewTool("claim", "Call in the name of another.", claim),
	}}
}

func (w *worker) Run(ctx context.Context) error {
	w.runs.Add(1)
	switch w.Crash {
	case "":
	case "always":
		os.Exit(7)
	default:
		if err := exitOnce(w.Crash); err != nil {
			return err
		}
	}
	if w.Stay {
		<-ctx.Done()
	}
	return nil
}

// forged is a call as the tool claim makes it.
type forged struct {
	As    string          `json:"as"`
	Event bool            `json:"event,omitempty"`
	Agent string          `json:"agent"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

func claim(ctx context.Context, in forged) (string, error) {
	env, _ := agent.EnvFrom(ctx)
	c := &agent.Call{Op: agent.OpTool, Agent: in.Agent, Name: in.Name, Input: in.Input,
		From: agent.Identity{Agent: in.As, Trusted: true}, Attempt: 1}
	if in.Event {
		c.Op = agent.OpEvent
	}
	res, err := env.Directory.Call(ctx, c)
	if err != nil || in.Event {
		return "", err
	}
	var said string
	return said, res.Decode(&said)
}

// A child process has the token of one agent, and cannot pass for another.
func TestAChildCallsAsItselfOnly(t *testing.T) {
	for _, fast := range []bool{true, false} {
		t.Run(fmt.Sprintf("fast path %v", fast), func(t *testing.T) {
			s := start(t, &project.Config{MCP: project.MCP{FastPath: &fast},
				Agents: map[string]project.Agent{
					"child": {Type: "worker", Communicator: project.OverStdio, Config: map[string]any{"stay": true}},
					"other": {Type: "worker", Communicator: project.OverStdio, Config: map[string]any{"stay": true}},
					"far":   {Type: "probe"},
				}}, nil)
			got, err := agent.Ask[string](s.ctx, "child.claim",
				forged{As: "other", Agent: "far", Name: "who", Input: json.RawMessage(`{}`)})
			if err != nil || !strings.HasPrefix(got, "child at") {
				t.Errorf("a call in the name of another: %q, %v", got, err)
			}
			testkit.Eventually(t, "the other runs", func() bool {
				return s.agentStatus("other").Runner == runtime.StateRunning
			})
			news := json.RawMessage(`{"instance":"other/0","state":"done"}`)
			if _, err := agent.Ask[string](s.ctx, "child.claim",
				forged{As: "other", Event: true, Agent: "openmas", Name: "openmas.runner", Input: news}); err != nil {
				t.Error(err)
			}
			if got := s.agentStatus("other").Runner; got != runtime.StateRunning {
				t.Errorf("the other's Runner is %s, says a child that it does not run in", got)
			}
		})
	}
}

// What a child calls may take as long as the callee's own policy allows, whatever the default is.
func TestAChildWaitsAsLongAsAnyPolicy(t *testing.T) {
	t.Parallel()
	long := project.Policy{Timeout: hang}
	for name, patient := range map[string]func(a *project.Agent, tool string){
		"of an agent": func(a *project.Agent, _ string) { a.Policy = long },
		"of a tool": func(a *project.Agent, tool string) {
			a.Tools = map[string]project.Policy{tool: long}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := pair(project.OverStdio)
			cfg.Defaults.Timeout = moment
			near, far := cfg.Agents["near"], cfg.Agents["far"]
			patient(&near, "slow")
			patient(&far, "relay-slow")
			cfg.Agents["near"], cfg.Agents["far"] = near, far
			s := start(t, cfg, nil)
			if _, err := agent.Ask[note](s.ctx, "far.relay-slow",
				note{N: int(3 * moment / time.Millisecond)}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestADoneRunnerIsNotRunAgain(t *testing.T) {
	s := start(t, &project.Config{Agents: map[string]project.Agent{"a": {Type: "worker",
		Communicator: project.OverStdio}}}, nil)
	testkit.Eventually(t, "it is done", func() bool { return s.agentStatus("a").Runner == runtime.StateDone })
	if _, err := agent.Ask[string](s.ctx, "a.exit", nil); err == nil {
		t.Error("it should have ended")
	}
	testkit.Eventually(t, "the child is back", func() bool {
		i := s.agentStatus("a").Instances[0]
		return i.Restarts == 1 && i.State == runtime.StateReady
	})
	if again, err := agent.Ask[bool](s.ctx, "a.runs", nil); err != nil || again {
		t.Errorf("it runs again: %v, %v", again, err)
	}
	if got := s.agentStatus("a").Runner; got != runtime.StateDone {
		t.Errorf("the Runner is %s", got)
	}
}

// A Runner whose child died while it ran runs again, and the new process reports its end.
func TestARunnerGoesOnInANewChild(t *testing.T) {
	cfg := &project.Config{Agents: map[string]project.Agent{
		"a": {Type: "worker", Communicator: project.OverStdio,
			Config: map[string]any{"crash": filepath.Join(t.TempDir(), "tried")}}}}
	s := start(t, cfg, nil, func(o *runtime.Options) { o.Mode = runtime.ModeOnce })
	if err := s.wait(); err != nil {
		t.Error(err)
	}
}

func TestOnceEndsWhenAChildIsGivenUp(t *testing.T) {
	cfg := &project.Config{Restart: impatient, Agents: map[string]project.Agent{
		"a": {Type: "worker", Communicator: project.OverStdio, Config: map[string]any{"crash": "always"}}}}
	s := start(t, cfg, nil, func(o *runtime.Options) { o.Mode = runtime.ModeOnce })
	if err := s.wait(); err == nil || !strings.Contains(err.Error(), "agent a: ") {
		t.Errorf("error: %v", err)
	}
}

// A run that is to have an end has it when a Runner has failed more often than it may be restarted:
// there are no rests between.
func TestOnceDoesNotRest(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverStdio} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			cfg := &project.Config{
				Restart: project.Restart{Limit: 2, Window: time.Hour, Backoff: time.Hour, GiveUpAfter: 3},
				Agents:  map[string]project.Agent{"a": {Type: "hopeless", Communicator: over}}}
			s := start(t, cfg, nil, func(o *runtime.Options) { o.Mode = runtime.ModeOnce })
			if err := s.wait(); err == nil || !strings.Contains(err.Error(), "agent a: ") ||
				!strings.Contains(err.Error(), "gave up restarting after 2 restarts: as told") {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// hopeless is an agent whose Runner always fails.
type hopeless struct{}

func (hopeless) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func (hopeless) Run(context.Context) error { return errors.New("as told") }

// A Runner that does not heed the drain must not keep the process.
func TestADrainEndsWhateverRuns(t *testing.T) {
	t.Parallel()
	began, release, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := start(t, &project.Config{Drain: project.Drain{Timeout: moment},
		Agents: map[string]project.Agent{"a": {Type: "deaf"}}},
		agent.Types{"deaf": func() agent.Agent {
			return &runs{run: func(context.Context) error { defer close(over); close(began); <-release; return nil }}
		}})
	<-began // not only its state: a drain before it would not wait for it
	s.stop()
	err := s.wait()
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the Runner of a/0 "+
		"does not end") || !strings.Contains(err.Error(), "something does not end although its context has") {
		t.Errorf("error: %v", err)
	}
	close(release)
	<-over
}

// A program whose main forgets ServeChild would start itself without end.
func TestAProgramThatForgetsServeChild(t *testing.T) {
	t.Setenv(runtime.ChildVar, "1")
	_, err := runtime.New(&project.Config{Agents: map[string]project.Agent{"relay": {Type: "relay"}}},
		agent.Types{"relay": func() agent.Agent { return caps{} }}, runtime.Options{})
	if err == nil || !strings.Contains(err.Error(), "runtime.ServeChild") {
		t.Errorf("%v", err)
	}
}

// What an agent in a child process starts is not taken for a child itself.
func TestServeChildHidesItsVariable(t *testing.T) {
	t.Setenv(runtime.ChildVar, "1")
	if err := runtime.ServeChild(t.Context(), nil, strings.NewReader(""), io.Discard, io.Discard); err == nil {
		t.Error("it serves nobody")
	}
	if v, set := os.LookupEnv(runtime.ChildVar); set {
		t.Errorf("%s=%s", runtime.ChildVar, v)
	}
}
