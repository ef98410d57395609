package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/doctest/transcript"
	"github.com/openmas/openmas/internal/interop/toolbox"
)

const root = "../.."

// Each demo has a README of one screen with its command, and a row in the list of all.
func TestDemosAreDocumented(t *testing.T) {
	all, err := find(root, nil)
	if err != nil || len(all) < 9 {
		t.Fatal(all, err)
	}
	index, err := os.ReadFile(filepath.Join(root, "examples", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range all {
		text, err := os.ReadFile(filepath.Join(root, "examples", name, "README.md"))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := strings.Count(string(text), "\n"); n > 60 {
			t.Errorf("%s: README.md has %d lines: more than one screen", name, n)
		}
		steps := commands(string(text))
		if len(steps) == 0 || slices.ContainsFunc(steps, func(s transcript.Step) bool {
			return s.Err != nil || len(s.Prints) == 0
		}) {
			t.Errorf("%s: README.md does not show commands and what they print: %+v", name, steps)
		}
		if !strings.Contains(string(index), "("+name+"/README.md)") {
			t.Errorf("examples/README.md does not name %s", name)
		}
		if i > 0 && all[i-1][:2] == name[:2] {
			t.Errorf("%s and %s have the same number", all[i-1], name)
		}
	}
	for name := range needs {
		if !slices.Contains(all, name) {
			t.Errorf("there is no demo %s", name)
		}
	}
}

// demo writes a demo whose README shows go version and what it prints.
func demo(t *testing.T, prints string) *player {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "examples", "01-x"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "# X\n\n```console\n$ go env GOOS" + prints + "\n```\n"
	if err := os.WriteFile(filepath.Join(dir, "examples", "01-x", "README.md"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &player{root: dir, openmas: filepath.Join(dir, "openmas")}
}

func TestPlay(t *testing.T) {
	for prints, want := range map[string]string{
		"\n...":                      "",
		"\nthe moon":                 "01-x/README.md:4: ",
		" # exit code 3\n...":        "exit code 0, and not 3",
		"\n...\n$ rm -r /\n":         `the command "rm"`,
		"\n...\n$ openmas run\n^C\n": "^C: a demo ends by itself",
	} {
		err := demo(t, prints).play(t.Context(), "01-x")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(filepath.ToSlash(err.Error()), want) {
			t.Errorf("%q: %v, want %q", prints, err, want)
		}
	}
}

// What cannot be installed is named, and not hidden behind another error.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	p := &player{root: t.TempDir()}
	_, err := p.prepare(context.Background(), "05-polyglot")
	var missing *toolbox.Missing
	if !errors.As(err, &missing) || missing.Program != "python3" {
		t.Error(err)
	}
}

// A link of an earlier version is renewed; what a user made stays.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".venv")
	for _, target := range []string{filepath.Join(dir, "old"), filepath.Join(dir, "new")} {
		if err := link(target, path); err != nil {
			t.Skip(err) // Windows does not let everybody make links
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("%s, %v, want %s", got, err, target)
		}
	}
	own := filepath.Join(dir, "own")
	if err := errors.Join(os.Mkdir(own, 0o700), link(dir, own)); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(own); err != nil || !info.IsDir() {
		t.Error(info, err)
	}
}
