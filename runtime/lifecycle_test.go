package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// diary is what agents of a test did, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) read() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "; ")
}

// writer is an agent that writes in the diary.
type writer struct {
	d        *diary
	startErr error
	requires []string
	name     string
}

func (w *writer) Capabilities() agent.Capabilities {
	var caps agent.Capabilities
	for _, r := range w.requires {
		caps.Requires = append(caps.Requires, agent.Require(r))
	}
	return caps
}

func (w *writer) Start(_ context.Context, env agent.Env) error {
	w.name = env.Name
	w.d.write("start %s", env.Name)
	return w.startErr
}

func (w *writer) Close(context.Context) error { w.d.write("close %s", w.name); return nil }

func TestStartAndStopGoInOrder(t *testing.T) {
	d := &diary{}
	cfg := &project.Config{Agents: map[string]project.Agent{"a": {Type: "needs-c"}, "b": {Type: "plain"},
		"c": {Type: "plain"}}}
	s := start(t, cfg, agent.Types{
		"plain":   func() agent.Agent { return &writer{d: d} },
		"needs-c": func() agent.Agent { return &writer{d: d, requires: []string{"c"}} },
	})
	s.stop()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	if got, want := d.read(), "start b; start c; start a; close a; close c; close b"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Agents that require each other start by name, and the log names them: one of them cannot find
// there what it requires.
func TestACircleOfRequirementsIsReported(t *testing.T) {
	d := &diary{}
	needs := func(name string) func() agent.Agent {
		return func() agent.Agent { return &writer{d: d, requires: []string{name}} }
	}
	cfg := &project.Config{Agents: map[string]project.Agent{"a": {Type: "needs-b"}, "b": {Type: "needs-a"},
		"c": {Type: "needs-a"}}}
	s := start(t, cfg, agent.Types{"needs-a": needs("a"), "needs-b": needs("b")})
	if got, want := d.read(), "start a; start b; start c"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if log := s.log.String(); !strings.Contains(log, "in a circle") || !strings.Contains(log, "agents=a,b\n") {
		t.Errorf("the log:\n%s", log)
	}
}

func TestFailedStartIsUndone(t *testing.T) {
	d := &diary{}
	for name, broken := range map[string]func() agent.Agent{
		"error": func() agent.Agent { return &writer{d: d, startErr: errors.New("no luck")} },
		"panic": func() agent.Agent { return &panicker{} },
	} {
		t.Run(name, func(t *testing.T) {
			d.lines = nil
			cfg := &project.Config{Agents: map[string]project.Agent{"a": {Type: "plain"}, "b": {Type: "plain"},
				"c": {Type: "broken"}, "d": {Type: "plain"}}}
			s := prepare(t, cfg, agent.Types{"plain": func() agent.Agent { return &writer{d: d} }, "broken": broken})
			err := s.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), "c/0") {
				t.Errorf("error: %v", err)
			}
			if got := strings.ReplaceAll(d.read(), "start c; ", ""); got != "start a; start b; close b; close a" {
				t.Errorf("diary: %s", d.read())
			}
		})
	}
}

type panicker struct{}

func (p *panicker) Capabilities() agent.Capabilities       { return agent.Capabilities{} }
func (p *panicker) Start(context.Context, agent.Env) error { panic("at start") }

func TestPortInUseStartsNothing(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := &diary{}
	cfg := &project.Config{Gateway: &project.Gateway{Listen: ln.Addr().String()},
		Agents: map[string]project.Agent{"a": {Type: "plain"}}}
	s := prepare(t, cfg, agent.Types{"plain": func() agent.Agent { return &writer{d: d} }})
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is in use") ||
		!strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("error: %v", err)
	}
	if d.read() != "" {
		t.Errorf("something was started: %s", d.read())
	}
}

func TestNewReportsEveryProblem(t *testing.T) {
	cfg := &project.Config{Agents: map[string]project.Agent{
		"a": {Type: "nowhere"},
		"b": {Type: "needs"},
		"c": {Type: "probe", Config: map[string]any{"perr": "x"}},
		"d": {Type: "explodes"},
	}}
	_, err := runtime.New(cfg, types(agent.Types{
		"needs":    func() agent.Agent { return &writer{requires: []string{"ghost.tool", "c.nothing"}} },
		"explodes": func() agent.Agent { panic("boom") },
	}), runtime.Options{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`no type "nowhere"`, `no agent "ghost"`, "perr", "peer", "boom"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

func TestRunnerRunsAgainUntilItIsDone(t *testing.T) {
	tries := 0
	cfg := &project.Config{Agents: map[string]project.Agent{"a": {Type: "runs"},
		"b": {Type: "runs-twice", Replicas: 2, Run: "all"}}}
	d := &diary{}
	s := start(t, cfg, agent.Types{
		"runs": func() agent.Agent {
			return &runs{run: func(context.Context) error {
				switch tries++; tries {
				case 1:
					return errors.New("not yet")
				case 2:
					panic("still not")
				}
				d.write("done")
				return nil
			}}
		},
		"runs-twice": func() agent.Agent {
			return &runs{run: func(ctx context.Context) error {
				env, _ := agent.EnvFrom(ctx)
				d.write("%s", env.Instance)
				return nil
			}}
		},
	}, func(o *runtime.Options) { o.Mode = runtime.ModeOnce })
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	lines := slices.Sorted(slices.Values(d.lines))
	if got := strings.Join(lines, " "); got != "b/0 b/1 done" {
		t.Errorf("ran: %s", got)
	}
}

func TestRunnerInAChildProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ran")
	cfg := &project.Config{Agents: map[string]project.Agent{"a": {Type: "runs", Communicator: project.OverStdio,
		Config: map[string]any{"file": file}}}}
	s := start(t, cfg, nil, func(o *runtime.Options) { o.Mode = runtime.ModeOnce })
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "ran" {
		t.Fatal(string(b), err)
	}
}

// impatient gives up at the second failure.
var impatient = project.Restart{Limit: 1, Window: time.Minute, Backoff: time.Millisecond, GiveUpAfter: 1}

func TestCriticalAgentEndsTheRun(t *testing.T) {
	bad := agent.Types{"bad": func() agent.Agent {
		return &runs{run: func(context.Context) error { return errors.New("hopeless") }}
	}}
	cfg := &project.Config{Restart: impatient,
		Agents: map[string]project.Agent{"a": {Type: "bad", Critical: true}, "b": {Type: "probe"}}}
	s := start(t, cfg, bad)
	if err := s.wait(); err == nil || !strings.Contains(err.Error(), "hopeless") ||
		!strings.Contains(err.Error(), "critical agent a") {
		t.Errorf("error: %v", err)
	}

	t.Run("others go on", func(t *testing.T) {
		cfg := &project.Config{Restart: impatient, Agents: map[string]project.Agent{"a": {Type: "bad"},
			"b": {Type: "probe"}}}
		s := start(t, cfg, bad)
		testkit.Eventually(t, "a has failed", func() bool { return s.agentStatus("a").Runner == runtime.StateFailed })
		if _, err := agent.Ask[note](s.ctx, "b.say", note{}); err != nil {
			t.Error(err)
		}
	})
}

func TestKilledChildComesBack(t *testing.T) {
	cfg := &project.Config{Agents: map[string]project.Agent{"c": {Type: "probe", Communicator: project.OverStdio,
		Replicas: 2}}}
	s := start(t, cfg, nil)

	t.Run("safe calls are made again", func(t *testing.T) {
		got, err := agent.Ask[string](s.ctx, "c.exit-once", note{Text: filepath.Join(t.TempDir(), "tried")})
		if err != nil || got != "survived" {
			t.Fatal(got, err)
		}
		if st := s.agentStatus("c"); st.Retries == 0 {
			t.Errorf("no retry is counted: %+v", st)
		}
	})
	t.Run("others are not", func(t *testing.T) {
		if _, err := agent.Ask[string](s.ctx, "c.exit", nil); agent.CodeOf(err) != agent.CodeOutcomeUnknown {
			t.Fatal(err)
		}
	})
	testkit.Eventually(t, "both children are back", func() bool {
		st := s.agentStatus("c")
		return st.Instances[0].State == runtime.StateReady && st.Instances[1].State == runtime.StateReady &&
			st.Instances[0].Restarts+st.Instances[1].Restarts == 2
	})
	pids := map[int]bool{}
	for _, i := range s.agentStatus("c").Instances {
		pids[i.PID] = true
	}
	if len(pids) != 2 || pids[0] {
		t.Errorf("processes: %v", pids)
	}
	if _, err := agent.Ask[note](s.ctx, "c.say", note{}); err != nil {
		t.Error(err)
	}
}

func TestStatusAndListAreTools(t *testing.T) {
	s := start(t, pair(project.OverPubSub), nil)
	st, err := agent.Ask[runtime.Status](s.ctx, "openmas.status", nil)
	if err != nil || st.State != "ready" || len(st.Agents) != 2 || st.PID != os.Getpid() {
		t.Errorf("status: %+v, %v", st, err)
	}
	l, err := agent.Ask[runtime.Listing](s.ctx, "openmas.list", nil)
	if err != nil || len(l.Agents) != 3 {
		t.Errorf("list: %+v, %v", l, err)
	}
	if _, ok := l.Agents[0].Tool("say"); !ok || l.Agents[0].Name != "far" {
		t.Errorf("list: %+v", l.Agents[0])
	}
}
