package scaffold_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
)

// exe is the openmas command of this module.
var exe string

func TestMain(m *testing.M) {
	if testkit.OnlyProcesses() {
		return
	}
	os.Exit(tests(m))
}

func tests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "openmas-init")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	exe = filepath.Join(dir, "openmas.exe")
	build := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-w", "-o", exe, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A bench is an empty folder in which commands run, openmas among them.
type bench struct{ *testkit.Bench }

func newBench(t *testing.T) bench {
	t.Helper()
	return bench{testkit.NewBench(t)}
}

// run runs a command in a folder of the bench; openmas is the one of this module.
func (b bench) run(t *testing.T, folder string, command ...string) (code int, printed string) {
	t.Helper()
	program := command[0]
	if program == "openmas" {
		program = exe
	}
	cmd := exec.CommandContext(t.Context(), program, command[1:]...)
	cmd.Dir, cmd.Env = filepath.Join(b.Dir, folder), b.Env
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// must runs a command that succeeds, and prints want.
func (b bench) must(t *testing.T, folder, want string, command ...string) {
	t.Helper()
	if code, out := b.run(t, folder, command...); code != 0 || !strings.Contains(out, want) {
		t.Errorf("%q in %s: exit %d; want 0 and %q; it printed\n%s", command, folder, code, want, out)
	}
}

// A new project of every template is vetted, tested, valid, and its agents call each other, without
// a look at the network.
func TestTemplates(t *testing.T) {
	b := newBench(t)
	for template, first := range map[string]struct {
		call []string
		want string
	}{
		"hello":    {[]string{"host.welcome", "name=Ada"}, "Good morning, Ada! Welcome to openmas.\n"},
		"pipeline": {[]string{"editor.report", "text=a bee and another bee"}, "\"bee\" is there 2 times\n"},
		"polyglot": {[]string{"analyst.report", "numbers=[1,2,6]"},
			"3 numbers, on average 3; half of them are below 2\n"},
		"llm": {[]string{"assistant.ask", "question=Add up my receipts, note the sum, and delete them."},
			"You spent 35.7, which is in the note \"spent\"."},
	} {
		t.Run(template, func(t *testing.T) {
			name := "my-" + template
			b.must(t, ".", "cd "+name+" && openmas run", "openmas", "init", name, "--template", template)
			b.must(t, name, "", "go", "vet", "./...")
			b.must(t, name, "ok", "go", "test", "./...")
			b.must(t, name, "openmas.yaml is fine", "openmas", "validate")
			if template == "polyglot" {
				if _, err := exec.LookPath("python3"); err != nil {
					t.Skip("there is no python3 here")
				}
			}
			b.must(t, name, first.want, append([]string{"openmas", "call"}, first.call...)...)
			b.must(t, name, "openmas.yaml is fine", "openmas", "validate")
			text := b.Read(t, filepath.Join(name, "main.go"))
			if formatted, err := format.Source([]byte(text)); err != nil || !bytes.Equal(formatted, []byte(text)) {
				t.Errorf("main.go is not formatted: %v", err)
			}
			project := b.Read(t, filepath.Join(name, "openmas.yaml"))
			if !strings.HasPrefix(project, "# yaml-language-server: $schema=openmas.schema.json\n") {
				t.Errorf("the first line of the project file is not its schema:\n%s", project)
			}
			code, yaml := strings.Count(text, "\n"), strings.Count(project, "\n")
			if template == "hello" && code > 40 || yaml > 10 {
				t.Errorf("%d lines of Go, at most 40, and %d of YAML, at most 10", code, yaml)
			}
			if docker := b.Read(t, filepath.Join(name, "Dockerfile")); !strings.Contains(docker, "\nUSER app\n") ||
				!strings.Contains(docker, "COPY "+name+" openmas.yaml") {
				t.Errorf("the Dockerfile is\n%s", docker)
			}
		})
	}
}

// The template with a model is the example, so that both stay right.
func TestCopiesOfTheExample(t *testing.T) {
	copies, err := filepath.Glob("templates/*/*.copy")
	if err != nil || len(copies) == 0 {
		t.Fatal(copies, err)
	}
	for _, name := range copies {
		example := filepath.Join("../../../../examples/07-llm", strings.TrimSuffix(filepath.Base(name), ".copy"))
		want, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v; %s is not as it is here any more: cp %s %s", err, example, example, name)
		}
	}
}

// A second init adds what is missing, and changes nothing.
func TestInitAgain(t *testing.T) {
	b := newBench(t)
	b.must(t, ".", "", "openmas", "init", "demo")
	b.Write(t, "demo/main.go", b.Read(t, "demo/main.go")+"\n// mine\n")
	mod := b.Read(t, "demo/go.mod")
	if err := os.Remove(filepath.Join(b.Dir, "demo", "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	code, out := b.run(t, "demo", "openmas", "init", ".")
	for _, name := range []string{"README.md", ".gitignore", "openmas.yaml", "openmas.schema.json", "go.mod"} {
		if !hasLine(out, name, "kept") {
			t.Errorf("%s is not kept:\n%s", name, out)
		}
	}
	if code != 0 || !hasLine(out, "Dockerfile", "written") || b.Read(t, "demo/go.mod") != mod ||
		!strings.HasSuffix(b.Read(t, "demo/main.go"), "// mine\n") {
		t.Errorf("exit %d, %s", code, out)
	}
	b.must(t, "demo", "Good morning, Ada!", "openmas", "call", "host.welcome", "name=Ada")
}

// A module of the user's with code in it gets the agents in a folder of their own.
func TestInitInAModule(t *testing.T) {
	b := newBench(t)
	b.Write(t, "go.mod", "module example.com/shop\n\ngo 1.26.0\n")
	b.Write(t, "main.go", "package main\n\nfunc main() {}\n")
	b.Write(t, "README.md", "# The shop\n")
	code, out := b.run(t, ".", "openmas", "init", ".")
	if code != 0 || !hasLine(out, "agents/main.go", "written") || !hasLine(out, "README.md", "kept") ||
		!hasLine(out, "go.mod", "kept, and openmas added") {
		t.Fatalf("exit %d, %s", code, out)
	}
	b.must(t, ".", "Good morning, Ada!", "openmas", "call", "host.welcome", "name=Ada")
	b.must(t, ".", "ok", "go", "test", "./...")
	if text := b.Read(t, "main.go"); text != "package main\n\nfunc main() {}\n" {
		t.Errorf("main.go is %s", text)
	}
	b.must(t, ".", "it is the module around this folder", "openmas", "init", "second")
	b.must(t, "second", "Good morning, Eva!", "openmas", "call", "host.welcome", "name=Eva")
}

// Two files that somebody pasted need a module: openmas says so, and init makes it.
func TestInitAfterAPaste(t *testing.T) {
	b := newBench(t)
	b.must(t, ".", "", "openmas", "init", "demo")
	b.Write(t, "pasted/main.go", b.Read(t, "demo/main.go"))
	b.Write(t, "pasted/openmas.yaml", b.Read(t, "demo/openmas.yaml"))
	code, out := b.run(t, "pasted", "openmas", "call", "host.welcome", "name=Ada")
	if code != 1 || !strings.Contains(out, "openmas: there is no go.mod: openmas init . in the project's folder") {
		t.Errorf("exit %d, %s", code, out)
	}
	b.must(t, "pasted", "", "openmas", "init", ".")
	b.must(t, "pasted", "Good morning, Ada!", "openmas", "call", "host.welcome", "name=Ada")
}

func TestWrongInit(t *testing.T) {
	b := newBench(t)
	b.Write(t, "a-file", "")
	b.Write(t, "code/main.go", "package code\n")
	b.Write(t, "code/agents/mine.go", "package agents\n")
	for want, args := range map[string][]string{
		`--template "helo": there is no such template; did you mean "hello"?`: {"x", "--template", "helo"},
		`try openmas init my-agents`:                                          {"My Agents"},
		"a-file is a file, and no folder":                                     {"a-file"},
		"accepts 1 arg(s), received 0\nUsage: openmas init NAME":              {},
		"there is no go.mod of github.com/openmas/openmas in this folder":     {"x", "--replace", "code"},
		"that is there already; write openmas.yaml with the line":             {"code"},
	} {
		code, out := b.run(t, ".", append([]string{"openmas", "init"}, args...)...)
		if code != 2 || !strings.Contains(out, want) {
			t.Errorf("init %q: exit %d, %s; want 2 and %q", args, code, out, want)
		}
	}
	if entries, err := os.ReadDir(b.Dir); err != nil || len(entries) != 2 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
}

func hasLine(out, name, done string) bool {
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name && strings.HasPrefix(strings.Join(f[1:], " "), done) {
			return true
		}
	}
	return false
}
