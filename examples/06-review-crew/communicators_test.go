package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

// hang is a generous bound on what must not take for ever.
const hang = 60 * time.Second

var (
	overs = []string{project.OverLocal, project.OverPubSub, project.OverStdio, project.OverSSE, project.OverHTTP}
	names = []string{"collector", "complexity", "linter", "historian", "editor"}
)

// noSleep has a program with the race detector end at once, and not a second after its end.
const noSleep = "GORACE=" + testkit.NoExitSleep

// reached are the flags that have an agent reached over a communicator.
func reached(name, over string) []string {
	flags := []string{"--set", fmt.Sprintf("agents.%s.communicator=%s", name, over)}
	if over == project.OverStdio {
		flags = append(flags, "--set", fmt.Sprintf("agents.%s.env={%s}", name, strings.Replace(noSleep, "=", ": ", 1)))
	}
	return flags
}

// process is the program of this package, run on a project file that users run.
type process struct {
	*exec.Cmd
	out, err testkit.Buffer
	state    string // the project's state folder
	ended    chan struct{}
}

// start runs the project on a tree, with a state folder of its own and a free port.
func start(t *testing.T, root string, args ...string) *process {
	t.Helper()
	return startProject(t, filepath.Join("..", "..", "configs", "project.yaml"), root, args...)
}

func startProject(t *testing.T, file, root string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	return launchProject(t, file, state, []string{exe}, append([]string{"--set", "agents.editor.config.root=" + root},
		args...)...)
}

// launch runs the project with a state folder, by a command that runs the program.
func launch(t *testing.T, state string, command []string, args ...string) *process {
	t.Helper()
	return launchProject(t, filepath.Join("..", "..", "configs", "project.yaml"), state, command, args...)
}

func launchProject(t *testing.T, file, state string, command []string, args ...string) *process {
	t.Helper()
	testkit.Processes(t)
	p := &process{state: state, ended: make(chan struct{})}
	args = slices.Concat(command, []string{"run", file, "--listen", "127.0.0.1:0", "--set", "state=" + state}, args)
	p.Cmd = exec.Command(args[0], args[1:]...)
	p.Env = append(os.Environ(), mainVar+"=1", noSleep)
	for name, value := range gitEnv(t.TempDir()) {
		p.Env = append(p.Env, name+"="+value)
	}
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // the exit code says it
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			_ = p.Process.Kill()
			<-p.ended
		}
	})
	return p
}

func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode()
	case <-time.After(hang):
		t.Fatalf("the program does not end\n%s", &p.err)
		return -1
	}
}

func (p *process) report(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.state, "agents", "editor", "review.md"))
	if err != nil {
		t.Errorf("%v\n%s", err, &p.err)
	}
	return string(b)
}

// How an agent is reached is one word in the project file, and changes nothing in the report: each
// agent over each communicator, and all over the same one.
func TestOneWord(t *testing.T) {
	root, want := tree(t), golden(t)
	crews := map[string][]string{}
	for _, over := range overs {
		var all []string
		for _, name := range names {
			crews[name+" over "+over] = append(reached("complexity", project.OverStdio), reached(name, over)...)
			if name == "complexity" {
				crews[name+" over "+over] = reached(name, over)
			}
			all = append(all, reached(name, over)...)
		}
		crews["all over "+over] = all
	}
	for name, sets := range crews {
		if testing.Short() && !strings.HasPrefix(name, "all") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, root, append(sets, "--once")...)
			if code := p.code(t); code != 0 {
				t.Fatalf("exit %d\n%s", code, &p.err)
			}
			if got := p.report(t); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			// What is for people is on standard output: of an agent in a child process, whose
			// standard output is the protocol's, in the log.
			shown := p.out.String()
			if strings.Contains(strings.Join(sets, " "), "agents.editor.communicator="+project.OverStdio) {
				shown = p.err.String()
			}
			if !strings.Contains(shown, "Hot spots of "+root) || !strings.Contains(shown, "The crew at work") {
				t.Errorf("no hot spots:\n%s", shown)
			}
		})
	}
}
