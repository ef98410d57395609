package runtime_test

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// inProgram has agents run in a program of their own: this one, the generation of which is the last
// word of its command.
func inProgram(t *testing.T, generation *atomic.Int64) func(*runtime.Options) {
	t.Helper()
	testkit.Processes(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return func(o *runtime.Options) {
		o.ServesChildren = true
		o.Program = func() runtime.Program {
			return runtime.Program{Command: []string{exe, strconv.FormatInt(generation.Load(), 10)}, Dir: dir,
				Env: map[string]string{"GORACE": testkit.NoExitSleep, "PROBE_VAR": "from the program"}}
		}
	}
}

// The agents of another program are replaced by those of a newer one under load, without a call
// lost, whatever their communicator is.
func TestAProgramIsReplaced(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub, project.OverStdio} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			var generation atomic.Int64
			cfg := pair(over)
			s := start(t, cfg, nil, inProgram(t, &generation))
			b := load(s, "far")
			for range 4 {
				before := b.Calls()
				if done := s.reload(cfg); len(done.Changes) > 0 {
					t.Errorf("without a new program: %+v", done)
				}
				generation.Add(1)
				done := s.reload(cfg)
				if len(done.Changes) != 2 || done.Changes[0].Keys[0].Key != "program" {
					t.Fatalf("%+v", done)
				}
				testkit.Eventually(t, "calls go on", func() bool { return b.Calls() > before+8 })
			}
			b.Audit()
			if st := s.agentStatus("near"); st.Communicator != project.OverStdio || st.Instances[0].PID == os.Getpid() {
				t.Errorf("%+v", st)
			}
		})
	}
}

// What is in flight in one program does not keep the next ones waiting, and ends where it began. A
// Runner begins in the last one when those before it have ended.
func TestAProgramIsReplacedWhileItWorks(t *testing.T) {
	t.Parallel()
	var generation atomic.Int64
	cfg := with(pair(project.OverLocal), "work", project.Agent{Type: "worker", Config: map[string]any{"stay": true}})
	s := start(t, cfg, nil, inProgram(t, &generation))
	files := []string{filepath.Join(t.TempDir(), "go on"), filepath.Join(t.TempDir(), "go on")}
	answers := make(chan error, len(files))
	ask := func(file string) {
		t.Helper()
		before := s.agentStatus("far").InFlight
		go func() {
			_, err := agent.Ask[note](s.ctx, "far.wait-nested", note{Text: file})
			answers <- err
		}()
		testkit.Eventually(t, "the call is in flight", func() bool { return s.agentStatus("far").InFlight > before })
	}
	for range 2 * 2 { // more than may end at the same time have nothing in flight
		if n := generation.Add(1); n <= 2 {
			ask(files[n-1])
		}
		s.reload(cfg)
		if out, err := agent.Ask[note](s.ctx, "far.say", note{Text: "hi"}); err != nil || out.Text != "far hi" {
			t.Error(out, err)
		}
	}
	if len(answers) > 0 {
		t.Error("a call has ended too early")
	}
	for _, file := range []string{files[1], files[0]} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := testkit.Receive(t, answers); err != nil {
			t.Errorf("a call that was in flight: %v\n%s", err, s.log)
		}
	}
	testkit.Eventually(t, "the Runner of the last program runs", func() bool {
		runs, err := agent.Ask[bool](s.ctx, "work.runs", note{})
		return err == nil && runs
	}, s.log)
	next := *cfg
	next.Agents = maps.Clone(cfg.Agents)
	delete(next.Agents, "work")
	generation.Add(1)
	s.reload(&next)
}

// What is wrong for a program is said as if the types were here, at the place in the project.
func TestAProgramIsAsked(t *testing.T) {
	t.Parallel()
	var generation atomic.Int64
	option := inProgram(t, &generation)
	for name, c := range map[string]struct {
		agent project.Agent
		want  string
	}{
		"a type that it does not have": {project.Agent{Type: "prob"},
			`this program has no type "prob"; did you mean "probe"?`},
		"a key that it does not have": {project.Agent{Type: "probe", Config: map[string]any{"peeer": "x"}},
			`agents.a.config: unknown key "peeer"; did you mean "peer"?`},
		"a tool that it does not have": {project.Agent{Type: "probe", Tools: map[string]project.Policy{"sya": {}}},
			`agent a has no tool "sya"`},
		"a Runner that stops": {project.Agent{Type: "runs", Communicator: project.OverStdio, IdleStop: 1e9},
			"idle_stop"},
	} {
		t.Run(name, func(t *testing.T) {
			o := runtime.Options{}
			option(&o)
			_, err := runtime.New(&project.Config{Dir: t.TempDir(),
				Agents: map[string]project.Agent{"a": c.agent}}, nil, o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		program runtime.Program
		want    string
	}{
		"there is none":        {runtime.Program{}, "no program has the types"},
		"it cannot be started": {runtime.Program{Command: []string{"/nowhere/x"}}, "does not say what"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := runtime.New(&project.Config{Dir: t.TempDir(),
				Agents: map[string]project.Agent{"a": {Type: "probe"}}}, nil,
				runtime.Options{Program: func() runtime.Program { return c.program }})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

// An agent that would be in the process of the project has the environment of that, and one that
// has a process of its own in any case has not.
func TestTheEnvironmentInAProgram(t *testing.T) {
	t.Parallel()
	var generation atomic.Int64
	cfg := pair(project.OverStdio)
	s := start(t, cfg, nil, inProgram(t, &generation))
	for name, want := range map[string]string{"near": "from the program", "far": "from the project"} {
		out, err := agent.Ask[map[string]string](s.ctx, name+".env", note{})
		if err != nil || out["var"] != want {
			t.Errorf("%s: %v, %v", name, out["var"], err)
		}
	}
}
