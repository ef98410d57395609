//go:build unix

package dev

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// asked calls a tool of the demo and returns what is printed.
func (b *bench) asked(tool string, args ...string) (out string, err error) {
	b.t.Helper()
	text, err := b.command(append([]string{"call", tool, "-p", "demo/openmas.yaml"}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(text)), err
}

// A type comes with the agent of it, and goes with it, in one save of both files.
func TestDevTypesComeAndGo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	r := b.dev("demo/openmas.yaml")
	r.await("SSE_SERVER_URL=")
	const host = `"host": func() agent.Agent { return &Host{} }`
	const agents = "agents:\n"
	b.edit("demo/main.go", host, host+`, "second": func() agent.Agent { return &Host{} }`)
	b.edit("demo/openmas.yaml", agents, agents+"  usher: {type: second}\n")
	if said := r.await("usher (added)"); strings.Contains(said, "error") {
		t.Errorf("of what comes at once: %s", said)
	}
	if out, err := b.asked("usher.welcome", "name=Ada"); err != nil ||
		!strings.HasSuffix(out, "Good morning, Ada! Welcome to openmas.") {
		t.Errorf("%s, %v", out, err)
	}

	b.edit("demo/main.go", `, "second": func() agent.Agent { return &Host{} }`, "")
	said := r.await("the change is not taken: what runs goes on as it is")
	if !strings.Contains(said, `this program has no type "second"`) {
		t.Errorf("of a type that is gone: %s", said)
	}
	if out, err := b.asked("usher.welcome", "name=Ada"); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	b.edit("demo/openmas.yaml", "  usher: {type: second}\n", "")
	if said := r.await("usher (removed)"); !strings.Contains(said, "live after") {
		t.Error(said)
	}
	if out, err := b.asked("usher.welcome", "name=Ada"); err == nil {
		t.Error(out)
	}

	// What is wrong in both is shown.
	b.edit("demo/main.go", "func main()", "func mian()")
	b.edit("demo/openmas.yaml", agents, agents+"  usher: {type: third}\n")
	r.await("function main is undeclared")
	r.await(`no type "third"`)
	b.edit("demo/openmas.yaml", "  usher: {type: third}\n", "")
	b.edit("demo/main.go", "func mian()", "func main()")
	r.await("it is the same program")
}

// A program that does not serve its agents is not taken, and one that fails later costs the call.
func TestDevBadPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	b.write("demo/end.go", "package main\n\nimport \"os\"\n\nfunc end(code int) { os.Exit(code) }\n")
	r := b.dev("demo/openmas.yaml")
	r.await("SSE_SERVER_URL=")
	answers := func(edition string) {
		t.Helper()
		out, err := b.asked("host.welcome", "name=Ada")
		if err != nil || !strings.HasSuffix(out, "Good morning, Ada! Welcome to "+edition) {
			t.Errorf("%s, %v\n%s", out, err, &r.err)
		}
	}
	const begin = "func main() {\n"
	code := begin
	for _, c := range []struct{ what, code, want string }{
		{"a panic before main", "var _ = func() int { panic(\"not today\") }()\n\n" + begin, "panic: not today"},
		{"an end without a word", begin + "\tend(3)\n", "exit status 3"},
		{"no word of openmas", begin + "\tend(0)\n", "does its main call openmas.Main"},
	} {
		b.edit("demo/main.go", code, c.code)
		code = c.code
		said := r.await("the change is not taken: what runs goes on as it is")
		if !strings.Contains(said, c.want) {
			t.Errorf("of %s: %s", c.what, said)
		}
		answers("openmas.")
		// It cannot say what is wrong in the project file, which is shown all the same.
		b.edit("demo/openmas.yaml", "agents:\n", "agentz: 1\nagents:\n")
		said = r.await("the project file is wrong: what runs goes on as it is")
		if !strings.Contains(said, `unknown key "agentz"`) {
			t.Errorf("of a mistake after %s: %s", c.what, said)
		}
		b.edit("demo/openmas.yaml", "agentz: 1\nagents:\n", "agents:\n")
		r.await("the change is not taken: what runs goes on as it is")
	}

	b.edit("demo/main.go", code, begin)
	const method = "error) {\n\tgreeting, err"
	b.edit("demo/main.go", method, "error) {\n\tif in.Name == \"Bob\" {\n\t\tpanic(\"not Bob\")\n\t}\n\tgreeting, err")
	b.edit("demo/main.go", "to openmas.", "to Bob.")
	r.await("live after")
	if out, err := b.asked("host.welcome", "name=Bob"); err == nil || !strings.Contains(out, "panic") {
		t.Errorf("of a panic: %s, %v", out, err)
	}
	answers("Bob.")

	b.edit("demo/main.go", "type Host struct{}", "type Host struct{}\n\n"+
		"func (h *Host) Start(context.Context, agent.Env) error { return errors.New(\"no key\") }")
	b.edit("demo/main.go", `"context"`, "\"context\"\n\t\"errors\"")
	if said := r.await("the rest goes on as it was"); strings.Count(said, "no key") != 1 ||
		!strings.HasSuffix(said, "\nopenmas: agent host does not start: no key\nopenmas: ") {
		t.Errorf("of one that does not start: %s", said)
	}
	answers("Bob.")

	// Who waits for a Start is told of it, and a newer change gives it up.
	b.edit("demo/main.go", "(context.Context, agent.Env) error { return errors.New(\"no key\") }",
		"(ctx context.Context, _ agent.Env) error { <-ctx.Done(); return errors.New(\"no key\") }")
	r.await("the reload waits")
	if said := r.await("\n"); !strings.Contains(said, "host/0: its Start has not returned (for ") ||
		!strings.Contains(said, "what runs goes on") {
		t.Errorf("of one that takes long: %s", said)
	}
	answers("Bob.")
	b.edit("demo/main.go", "<-ctx.Done(); return errors.New(\"no key\")", "_ = errors.New; return nil")
	b.edit("demo/main.go", "to Bob.", "to all.")
	if said := r.await("live after"); strings.Contains(said, "does not start") {
		t.Errorf("of what was given up: %s", said)
	}
	answers("all.")
}

// What runs already is named, before anything is built.
func TestDevTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	r := b.dev("demo/openmas.yaml")
	r.await("SSE_SERVER_URL=http://")
	address := r.await("\n")
	cmd := b.command("dev", "demo/openmas.yaml", "--listen", address)
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf(`^openmas: project demo runs already: process %d, for \S+, at http://%s\n`+
		"openmas status -p demo/openmas.yaml shows it, openmas stop --all -p demo/openmas.yaml stops it, and "+
		`--listen 127.0.0.1:0 starts another one beside it\n$`, r.cmd.Process.Pid, address)
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !regexp.MustCompile(want).Match(out) {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}

// Whatever is saved while a build goes on, the last of it is what runs.
func TestDevManySaves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	r := b.dev("demo/openmas.yaml")
	r.await("SSE_SERVER_URL=")
	last := "to openmas."
	for n := range 6 {
		next := fmt.Sprintf("to edition %d.", n)
		b.edit("demo/main.go", last, next)
		if last = next; n%2 == 0 {
			r.await("building")
		}
	}
	for out := ""; !strings.HasSuffix(out, last); {
		r.await("live after")
		var err error
		if out, err = b.asked("host.welcome", "name=Ada"); err != nil {
			t.Fatalf("%s, %v", out, err)
		}
	}

	// What is no part of the program begins no build, and go.mod does.
	b.write("demo/main_test.go", "package main\n")
	b.write("demo/notes.txt", "x")
	b.edit("demo/go.mod", "module demo", "module demo // of mine")
	if said := r.await("it is the same program"); !strings.Contains(said, "openmas: demo/go.mod: building") {
		t.Error(said)
	}
	if err := os.Remove(b.Dir + "/demo/main_test.go"); err != nil {
		t.Fatal(err)
	}

	// A build is under way when it is told to stop; see the end of dev.
	b.edit("demo/main.go", last, "to the end.")
	r.await("building")
}

// The project file of a project without a Go package is taken as well.
func TestDevWithoutAPackage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b.write("openmas.yaml", fmt.Sprintf(`project: foreign
agents:
  teller: {command: [%q], env: {%s: one}}
gateway: {listen: "127.0.0.1:0"}
`, exe, foreignVar))
	r := b.dev()
	r.await("SSE_SERVER_URL=")
	told := func(want string) {
		t.Helper()
		if out := b.run("call", "teller.tell"); strings.TrimSpace(out) != want {
			t.Errorf("%q, want %q", out, want)
		}
	}
	told("one")
	b.edit("openmas.yaml", ": one}", ": two}")
	if said := r.await("live after"); strings.Contains(said, "building") {
		t.Error(said)
	}
	told("two")
	b.edit("openmas.yaml", "agents:\n", "agents:\n  clerk: {type: clerk}\n")
	if said := r.await("the change is not taken"); !strings.Contains(said, "package:") {
		t.Error(said)
	}
	told("two")
}
