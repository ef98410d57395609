package gobuild

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

// Each program that differs has a file of its own, and those that nobody needs are removed.
func TestGenerations(t *testing.T) {
	for _, variable := range testkit.GoEnv(t) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv("LocalAppData", home)
	source := func(text string) string { return "package main\n\nfunc main() { println(" + text + ") }\n" }
	file := projectOf(t, source(`"1"`))
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), "crew", "main.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := project.Load(file, project.Options{Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGenerations(cfg)
	if err != nil {
		t.Fatal(err)
	}
	build := func() string {
		t.Helper()
		program, err := g.Build(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
	first := build()
	write(source(`"1"`) + "\n")
	if again := build(); again != first {
		t.Errorf("the same program is %s and %s", first, again)
	}
	write(source("x"))
	var wrong *CompileError
	_, err = g.Build(t.Context())
	if !errors.As(err, &wrong) || !strings.Contains(wrong.Text, "main.go:3:23: undefined: x") {
		t.Error(err)
	}
	write(source(`"2"`))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Build(canceled); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	second := build()
	for _, program := range []string{first, second} {
		if _, err := os.Stat(program); err != nil {
			t.Error(err)
		}
	}
	g.Keep(second)
	if _, err := os.Stat(first); err == nil {
		t.Error("the first program is still there")
	}
	s, err := g.Sources(t.Context())
	if err != nil || len(s.Dirs) != 1 || s.Dirs[0] != g.Dir() || len(s.Files) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	work := filepath.Join(filepath.Dir(file), "go.work")
	if err := os.WriteFile(work, []byte("go 1.26\n\nuse ./crew\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for gowork, want := range map[string]bool{"": true, "off": false} { // it is found, and need not be named
		t.Setenv("GOWORK", gowork)
		if s, err := g.Sources(t.Context()); err != nil || slices.Contains(s.Files, work) != want {
			t.Errorf("with GOWORK=%s: %+v, %v", gowork, s, err)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(second); err == nil {
		t.Error("it leaves a program behind")
	}
}

// The go command says where something is as seen from the package, and a person reads it as seen
// from the working directory.
func TestFromHere(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(here, "demo")
	for text, want := range map[string]string{
		"# demo\n./main.go:3:15: undefined: x\n":   "# demo\n./demo/main.go:3:15: undefined: x\n",
		"../lib/x.go:1:2: a\n\t./y.go:5:6: b\n":    "./lib/x.go:1:2: a\n\t./demo/y.go:5:6: b\n",
		"main.go:4:2: package foo is not in std\n": "./demo/main.go:4:2: package foo is not in std\n",
		"/far/away/x.go:1:2: a\n":                  "/far/away/x.go:1:2: a\n",
		"note: module requires Go 9\n":             "note: module requires Go 9\n",
	} {
		if got := filepath.ToSlash(fromHere(text, dir)); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
