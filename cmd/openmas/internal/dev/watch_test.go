//go:build unix

package dev

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
)

// Files that are changed, new or gone are noticed, and nothing else.
func TestWhatHasChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := time.Now().Add(-time.Hour)
	write := func(name, text string) {
		t.Helper()
		at = at.Add(time.Second)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	w := watched{sources: gobuild.Sources{Dirs: []string{dir, filepath.Join(dir, "nowhere")},
		Files: []string{filepath.Join(dir, "go.mod"), filepath.Join(dir, "words.txt")}}}
	write("a.go", "")
	write("go.mod", "")
	now := w.lookAtSources()
	expect := func(what, want string) {
		t.Helper()
		next := w.lookAtSources()
		var got []string
		for _, name := range next.changed(now) {
			got = append(got, filepath.Base(name))
		}
		if now = next; strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("nothing", "")
	write("a.go", "")
	write("b.go", "")
	expect("changed and new", "a.go b.go")
	write("a_test.go", "")
	write(".b.go", "")
	write("notes.md", "")
	expect("no source", "")
	write("words.txt", "x")
	if err := os.Remove(filepath.Join(dir, "b.go")); err != nil {
		t.Fatal(err)
	}
	expect("embedded and gone", "b.go words.txt")

	// A file that comes under watch counts as changed only if it was since.
	began := at.Add(time.Second / 2)
	write("late.go", "")
	known := look{}
	for name, s := range now {
		if filepath.Base(name) != "a.go" {
			known[name] = s
		}
	}
	next := w.lookAtSources()
	if got := next.changed(next.since(known, began)); fmt.Sprint(got) != "["+filepath.Join(dir, "late.go")+"]" {
		t.Errorf("%q", got)
	}
}

func TestProjectFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "openmas.yaml")
	if err := os.WriteFile(file, []byte("a: ${file:secret}\nb: ${file:/etc/x} ${env:Y}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := projectFiles([]string{file, filepath.Join(dir, "nowhere")})
	want := []string{file, filepath.Join(dir, "nowhere"), filepath.Join(dir, "secret"), "/etc/x"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
}
