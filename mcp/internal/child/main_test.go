package child

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/internal/testkit"
)

// The test binary is its own child: this variable names what it does then.
const roleVariable = "OPENMAS_CHILD_TEST_ROLE"

// coverFolder takes what children of a test with coverage would else complain about.
var coverFolder string

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		roles := map[string]func(){
			// echo answers line by line, until its stdin ends.
			"echo": func() {
				fmt.Fprintln(os.Stderr, "up")
				for in := bufio.NewScanner(os.Stdin); in.Scan(); {
					fmt.Println(in.Text())
				}
				fmt.Fprintln(os.Stderr, "bye")
			},
			"fail": func() {
				for i := range 30 {
					fmt.Fprintf(os.Stderr, "line %d\n", i)
				}
				os.Exit(3)
			},
			"env": func() {
				dir, _ := os.Getwd()
				fmt.Printf("%s|%s\n", dir, strings.Join(os.Environ(), "|"))
			},
			"say": func() { // and stay
				io.WriteString(os.Stderr, os.Getenv("STDERR"))
				io.WriteString(os.Stdout, os.Getenv("STDOUT"))
				forever()
			},
			"print": func() { io.WriteString(os.Stdout, os.Getenv("STDOUT")) },
		}
		maps.Copy(roles, platformRoles())
		roles[role]()
		os.Exit(0)
	}
	if testkit.OnlyProcesses() {
		return
	}
	var err error
	if coverFolder, err = os.MkdirTemp("", "openmas-child"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(coverFolder)
		os.Exit(code)
	}))
}

func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

// as makes a Spec that runs this binary in a role.
func as(role string, env ...string) Spec {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	own := map[string]string{roleVariable: role, "GORACE": testkit.NoExitSleep, "GOCOVERDIR": coverFolder}
	spec := Spec{Command: []string{exe}, Env: own, Ready: prefixed("")}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		spec.Env[name] = value
	}
	return spec
}

// prefixed is ready at a line with a prefix; the value is the rest.
func prefixed(prefix string) func(string, bool) (string, bool) {
	return func(line string, complete bool) (string, bool) {
		rest, ok := strings.CutPrefix(line, prefix)
		return rest, ok && complete
	}
}

// start starts a child that the test will not leave behind, and waits until it is ready.
func start(t *testing.T, spec Spec) (p *Process, ready string) {
	t.Helper()
	p, err := Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		wait(t, p)
	})
	ready, err = p.Ready(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return p, ready
}

// unheard closes a child's stdout, when it has one: nobody wants it.
func unheard(p *Process) {
	if out := p.Stdout(); out != nil {
		out.Close()
	}
}

// wait waits for the end of a process; the bound is for a hang only.
func wait(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(30 * time.Second):
		t.Fatalf("%s hangs", p)
	}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func contains(t *testing.T, got string, parts ...string) {
	t.Helper()
	if i := slices.IndexFunc(parts, func(part string) bool { return !strings.Contains(got, part) }); i >= 0 {
		t.Errorf("%q does not contain %q", got, parts[i])
	}
}
