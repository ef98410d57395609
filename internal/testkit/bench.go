package testkit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Bench is an empty folder in which programs run and are built, without a network. What they keep
// for their user is beside the folder.
type Bench struct {
	Dir string
	Env []string // of the programs
}

// NewBench makes one, which the end of the test removes.
func NewBench(t testing.TB) *Bench {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{Dir: filepath.Join(dir, "work")}
	if err := os.Mkdir(b.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b.Env = append(append(os.Environ(), GoEnv(t)...), "GOFLAGS=-buildvcs=false -ldflags=-w", "XDG_CACHE_HOME="+dir,
		"HOME="+dir, "LocalAppData="+dir, "PWD=", "GORACE="+NoExitSleep)
	return b
}

// GoEnv are the variables with which a go command finds the caches of this machine, whatever its
// home folder, and nothing in a network.
func GoEnv(t testing.TB) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, modules, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return []string{"GOCACHE=" + strings.TrimSpace(cache), "GOMODCACHE=" + modules, "GOPROXY=off", "GOTOOLCHAIN=local"}
}

// Read reads a file of the folder.
func (b *Bench) Read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Write writes a file in one step, as editors do, and makes the folders that it needs.
func (b *Bench) Write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(b.Dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = errors.Join(os.WriteFile(path+"~", []byte(text), 0o600), os.Rename(path+"~", path))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Edit replaces the first of a text in a file.
func (b *Bench) Edit(t testing.TB, name, old, by string) {
	t.Helper()
	text := b.Read(t, name)
	if !strings.Contains(text, old) {
		t.Fatalf("no %q in %s", old, name)
	}
	b.Write(t, name, strings.Replace(text, old, by, 1))
}
