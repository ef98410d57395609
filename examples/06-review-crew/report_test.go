package main

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent/agenttest"
)

var update = flag.Bool("update", false, "write testdata/review.md anew")

// golden is the report of tree.
func golden(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "review.md"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func TestReport(t *testing.T) {
	root := tree(t)
	sys := crew(t, nil)
	r, text := review(t, sys, root)
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "review.md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text != golden(t) {
		t.Errorf("got\n%s\nwant\n%s", text, golden(t))
	}
	if r.Root != root || r.Files != 5 || r.Functions != 6 || len(r.Notes) != 0 {
		t.Errorf("%+v", r)
	}
	if found := len(sys.Published("file.found")); found != r.Files {
		t.Errorf("%d files were found by event, %d in the report", found, r.Files)
	}
}

// What is odd about a tree is a line in the report, and never the end of it.
func TestOddTrees(t *testing.T) {
	tests := map[string]struct {
		make  func(t *testing.T) string
		files int
		note  string // the beginning of the only one
	}{
		"empty": {func(t *testing.T) string { return t.TempDir() }, 0, "no Go files here"},
		"no git": {func(t *testing.T) string {
			dir := t.TempDir()
			write(t, dir, map[string]string{"a.go": plain})
			return dir
		}, 1, "no git history (fatal: not a git repository"},
		"no commit": {func(t *testing.T) string {
			dir := t.TempDir()
			write(t, dir, map[string]string{"a.go": plain})
			gitIn(t, dir, nil, "init", "-q")
			return dir
		}, 1, "no git history (fatal: "},
		"shallow": {func(t *testing.T) string {
			dir := filepath.Join(t.TempDir(), "clone")
			gitIn(t, t.TempDir(), nil, "clone", "-q", "--depth=1", "file://"+filepath.ToSlash(tree(t)), dir)
			return dir
		}, 5, "shallow clone: churn counts only the commits that are here"},
		"unparsable": {func(t *testing.T) string {
			dir := tree(t)
			write(t, dir, map[string]string{"broken.go": "package shop\n\nfunc {\n"})
			return dir
		}, 6, "broken.go cannot be parsed: broken.go:3:6: expected"},
		"over-long": {func(t *testing.T) string {
			dir := tree(t)
			write(t, dir, map[string]string{"data.go": "package shop\n//" + strings.Repeat("x", maxFile)})
			return dir
		}, 5, "data.go: over 2097152 bytes, left out"},
		"one commit too many": {func(t *testing.T) string {
			return tree(t)
		}, 5, "long history: churn counts the newest 3 commits"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			root := tt.make(t)
			sys := crew(t, func(a agenttest.Agents) {
				if strings.HasPrefix(tt.note, "long history") {
					a["historian"] = &Historian{MaxCommits: 3}
				}
			})
			r, text := review(t, sys, root)
			if r.Files != tt.files || len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], tt.note) ||
				!strings.Contains(text, "- "+tt.note) {
				t.Errorf("%d files, notes %q, want %d and %q\n%s", r.Files, r.Notes, tt.files, tt.note, text)
			}
			if tt.files > 0 && len(r.HotSpots) == 0 {
				t.Error("no hot spots")
			}
		})
	}
}

func TestNoGitAtAll(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.go": plain})
	sys := crew(t, nil)
	t.Setenv("PATH", "")
	r, _ := review(t, sys, dir)
	if !slices.Equal(r.Notes, []string{"git is not installed: ranked by complexity alone"}) {
		t.Errorf("%q", r.Notes)
	}
}

// A tree that is not there is the caller's mistake, and reported as one.
func TestNoTree(t *testing.T) {
	sys := crew(t, nil)
	for _, root := range []string{filepath.Join(t.TempDir(), "nowhere"), filepath.Join(tree(t), "price.go")} {
		if _, err := ask(sys, root); err == nil || !strings.Contains(err.Error(), filepath.Base(root)) {
			t.Errorf("%s: %v", root, err)
		}
	}
}
