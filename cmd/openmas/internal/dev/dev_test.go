//go:build unix

package dev

import (
	"strings"
	"testing"
)

// The project that openmas init makes takes each change, and goes on as it is where one is wrong.
func TestDev(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	r := b.dev("demo/openmas.yaml")
	welcome := func(want string) {
		t.Helper()
		out := b.run("call", "host.welcome", "name=Ada", "-p", "demo/openmas.yaml")
		if strings.TrimSpace(out) != want {
			t.Errorf("%q, want %q\n%s", out, want, &r.err)
		}
	}
	r.await("SSE_SERVER_URL=")
	welcome("Good morning, Ada! Welcome to openmas.")

	b.edit("demo/main.go", "Welcome to openmas", "Welcome to dev")
	r.await("live after")
	welcome("Good morning, Ada! Welcome to dev.")

	b.edit("demo/openmas.yaml", "Good morning", "Good evening")
	r.await("live after")
	welcome("Good evening, Ada! Welcome to dev.")

	b.edit("demo/main.go", "g.Greeting +", "g.Greting +")
	said := r.await("the build has failed: what runs goes on as it is")
	if !strings.Contains(said, "openmas: demo/main.go: building\n# demo\n./demo/main.go:20:") ||
		!strings.Contains(said, "g.Greting undefined") {
		t.Errorf("of a mistake: %s", said)
	}
	welcome("Good evening, Ada! Welcome to dev.")
	b.edit("demo/main.go", "g.Greting +", "g.Greeting +")
	r.await("it is the same program")

	b.edit("demo/openmas.yaml", "config: {greeting", "config: {greting")
	if said := r.await("what runs goes on as it is"); !strings.Contains(said,
		"error: agents.greeter.config: unknown key \"greting\"\n --> demo/openmas.yaml:5:") ||
		!strings.Contains(said, "= help: did you mean \"greeting\"?") {
		t.Errorf("of a wrong key of an agent: %s", said)
	}
	b.edit("demo/openmas.yaml", "config: {greting", "cnfig: {greeting")
	if said := r.await("what runs goes on as it is"); !strings.Contains(said, "= help: did you mean \"config\"?") {
		t.Errorf("of a wrong key: %s", said)
	}
	b.edit("demo/openmas.yaml", "cnfig: {greeting", "config: {greeting")
	r.await("nothing has changed for what runs")
	b.edit("demo/openmas.yaml", "project: demo", "project: other")
	r.await("these keys cannot change while the system runs: project demo -> other; stop the process and run it again")
	b.edit("demo/openmas.yaml", "project: other", "project: demo")
	if said := r.await("nothing has changed for what runs"); strings.Contains(said, "not taken") {
		t.Errorf("it is said twice: %s", said)
	}

	// All agents are in processes of their own here.
	b.edit("demo/openmas.yaml", "{type: host}", "{type: host, communicator: pubsub}")
	if said := r.await("host: the new communicator has no effect here"); strings.Contains(said, "nothing has") {
		t.Error(said)
	}
	b.edit("demo/openmas.yaml", "communicator: pubsub}", "communicator: mcp-stdio}")
	if said := r.await("live after"); strings.Contains(said, "no effect") {
		t.Error(said)
	}
	b.edit("demo/openmas.yaml", "{type: host, communicator: mcp-stdio}", "{type: host}")
	r.await("live after")

	// A file that is new, and what is built in.
	b.write("demo/words.txt", "Hi")
	b.write("demo/words.go", "package main\n\nimport _ \"embed\"\n\n//go:embed words.txt\nvar words string\n")
	b.edit("demo/main.go", "return g.Greeting +", "return words +")
	r.await("live after")
	welcome("Hi, Ada! Welcome to dev.")
	b.write("demo/words.txt", "Hey")
	if said := r.await("live after"); !strings.Contains(said, "demo/words.txt: building") {
		t.Error(said)
	}
	welcome("Hey, Ada! Welcome to dev.")
}

// A project that is wrong at the start is waited for.
func TestDevBeginsWithMistakes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	b.edit("demo/openmas.yaml", "agents:", "agnets:")
	b.edit("demo/main.go", "func main()", "func mian()")
	r := b.dev("demo/openmas.yaml")
	if said := r.await("the project file is wrong: waiting for a change"); !strings.Contains(said, "agnets") {
		t.Error(said)
	}
	b.edit("demo/openmas.yaml", "agnets:", "agents:")
	said := r.await("the build has failed: waiting for a change")
	if !strings.Contains(said, "function main is undeclared") {
		t.Error(said)
	}
	b.edit("demo/main.go", "func mian()", "func main()")
	r.await("SSE_SERVER_URL=")
	b.edit("demo/openmas.yaml", "package: .", "package: ./nowhere")
	if said := r.await("the package cannot be built"); !strings.Contains(said, "package: there is no folder") {
		t.Error(said)
	}
	b.edit("demo/openmas.yaml", "package: ./nowhere", "package: .")
	r.await("nothing has changed for what runs")
}

func TestDevOfNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for want, args := range map[string][]string{
		"no project file":        {},
		"there is no such file":  {"nowhere.yaml"},
		"want host:port":         {"x.yaml", "--listen", ""},
		"is given twice":         {"x.yaml", "-p", "y.yaml"},
		"accepts at most 1 arg(": {"x.yaml", "y.yaml"},
	} {
		cmd := b.command(append([]string{"dev"}, args...)...)
		if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 2 ||
			!strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}
