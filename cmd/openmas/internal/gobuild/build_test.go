package gobuild

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
)

// mainVar in the environment makes the test binary an openmas command that becomes packages.
const mainVar = "OPENMAS_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVar) != "" {
		os.Exit(cli.Main(cli.Program{Become: Become}))
	}
	if testkit.OnlyProcesses() {
		return
	}
	os.Exit(m.Run())
}

// result is how the command ended and what it wrote.
type result struct {
	code     int
	out, err string
}

// command is the command, with a cache folder of the test's own for what it builds.
func command(t *testing.T, cache string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = append(append(os.Environ(), testkit.GoEnv(t)...), mainVar+"=1", "XDG_CACHE_HOME="+cache, "HOME="+cache,
		"LocalAppData="+cache, "GORACE="+testkit.NoExitSleep)
	return cmd
}

func openmas(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := command(t, t.TempDir(), args...)
	cmd.Env = append(cmd.Env, environ...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), unannounced(errOut.String())}
}

// unannounced leaves out the lines about a build that takes a while.
func unannounced(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, mcp.Building) && !strings.HasPrefix(line, mcp.Built) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// projectOf writes a project whose package is a module with one file, and returns the project file.
func projectOf(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"openmas.yaml": "package: ./crew\nagents:\n  a: {type: a}\n",
		"crew/go.mod":  "module example.com/crew\n\ngo 1.26\n",
		"crew/main.go": source,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "openmas.yaml")
}

// The program becomes the package that the project names: with the same arguments and streams, and
// with its exit code.
func TestBecomesThePackage(t *testing.T) {
	project := projectOf(t, `package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	fmt.Println(strings.Join(os.Args[1:], "|"))
	os.Exit(7)
}
`)
	for _, args := range [][]string{{"run", project, "--once"}, {"call", "a.b", "x=1 2", "--project", project},
		{"validate", project}} {
		r := openmas(t, nil, args...)
		if r.code != 7 || r.out != strings.Join(args, "|")+"\n" || r.err != "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// The output of the compiler is shown as it wrote it, and nothing else.
func TestBuildError(t *testing.T) {
	project := projectOf(t, "package main\n\nfunc main() { undefinedHere() }\n")
	r := openmas(t, nil, "run", project)
	want := "# example.com/crew\n." + string(filepath.Separator) + "main.go:3:15: undefined: undefinedHere\n"
	if r != (result{1, "", want}) {
		t.Errorf("got %+v, want exit 1 and %q", r, want)
	}
}

func TestNoPackage(t *testing.T) {
	project := projectOf(t, "package main\n\nfunc main() {}\n")
	if err := os.RemoveAll(filepath.Join(filepath.Dir(project), "crew")); err != nil {
		t.Fatal(err)
	}
	r := openmas(t, nil, "run", project)
	if want := "openmas: " + project + ":1:10: package: there is no folder " + filepath.Join(filepath.Dir(project),
		"crew") + "\n"; r != (result{2, "", want}) {
		t.Errorf("got %+v, want exit 2 and %q", r, want)
	}
}

// A folder that is no main package is a mistake in the project file.
func TestNoMainPackage(t *testing.T) {
	project := projectOf(t, "package crew\n")
	at := "openmas: " + project + ":1:10: package: "
	r := openmas(t, nil, "run", project)
	if r.code != 2 || !strings.HasPrefix(r.err, at) ||
		!strings.Contains(r.err, "is package crew, and not a main package; ") {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(project), "crew", "main.go")); err != nil {
		t.Fatal(err)
	}
	if r = openmas(t, nil, "run", project); r.code != 2 || !strings.Contains(r.err, "has no Go files") {
		t.Errorf("%+v", r)
	}
	if r = openmas(t, nil, "validate", project); r.code != 2 || !strings.HasPrefix(r.err, "error: package: ") {
		t.Errorf("%+v", r)
	}
}

// A mistake in the project file is found before anything is built.
func TestMistakeBeforeBuild(t *testing.T) {
	project := projectOf(t, "package main\n\nfunc main() {}\n")
	r := openmas(t, nil, "run", project, "--set", "agents.a.tiemout=3s")
	if r.code != 2 || strings.Contains(r.err, "crew") || !strings.Contains(r.err, `did you mean "timeout"?`) {
		t.Errorf("%+v", r)
	}
}

func TestNoGo(t *testing.T) {
	r := openmas(t, []string{"PATH=" + t.TempDir()}, "run", projectOf(t, "package main\n\nfunc main() {}\n"))
	if r.code != 1 || !strings.Contains(r.err, "the go command is not in PATH") {
		t.Errorf("%+v", r)
	}
}

// A package that is the openmas command without types of its own is not built and become for ever.
func TestNoLoop(t *testing.T) {
	project := projectOf(t, "package main\n\nfunc main() {}\n")
	r := openmas(t, []string{"OPENMAS_BECAME=" + filepath.Join(filepath.Dir(project), "crew")}, "run", project)
	if r.code != 1 || !strings.Contains(r.err, "does not call openmas.Main with types of its own") {
		t.Errorf("%+v", r)
	}
}
