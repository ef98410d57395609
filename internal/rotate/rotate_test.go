package rotate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// content is all that is in the folder, file by file.
func content(t *testing.T, dir string) (text string, files []File) {
	t.Helper()
	files, err := Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	return text, files
}

func TestFilesAreBounded(t *testing.T) {
	state := t.TempDir()
	bounds := Bounds{Size: 8000, Files: 100, Age: time.Hour}
	var all sync.WaitGroup
	for p := range 3 {
		all.Go(func() {
			w := New(state, "logs", fmt.Sprintf("p%d", p), bounds)
			w.Open()
			for n := range 1000 {
				if _, err := fmt.Fprintf(w, "process %d line %4d %s\n", p, n, strings.Repeat("x", 40)); err != nil {
					t.Error(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, files := content(t, filepath.Join(state, "logs"))
	if most := 8000 + 2*1000; len(text) > most || len(text) < 3000 {
		t.Errorf("%d bytes in %d files: want at most %d", len(text), len(files), most)
	}
	if !strings.Contains(text, "line  999") || strings.Contains(text, "line    0") {
		t.Error("the newest is gone, or the oldest is there")
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "process ") || !strings.HasSuffix(line, "x\n") {
			t.Errorf("torn: %q", line)
		}
	}
}

func TestOldAndManyFilesGo(t *testing.T) {
	state := t.TempDir()
	bounds := Bounds{Size: 1 << 20, Files: 3, Age: time.Hour}
	write := func(process string) {
		t.Helper()
		w := New(state, "logs", process, bounds)
		w.Open()
		if _, err := w.Write([]byte(process + "\n")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(state, "logs")
	write("a")
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "a.000001.jsonl"), old, old); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	write("b")
	if text, _ := content(t, dir); text != "b\n" {
		t.Errorf("%q: want only what is not old", text)
	}
	for n := range 5 {
		write(fmt.Sprintf("c%d", n))
	}
	if _, files := content(t, dir); len(files) != 3 {
		t.Errorf("%d files: want 3", len(files))
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

// What comes before Open is kept, and nothing is made without a line.
func TestNothingIsMadeBeforeItIsOpen(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	w := New(state, "logs", "a", Bounds{Size: 1 << 20, Files: 3, Age: time.Hour})
	if _, err := w.Write([]byte("first\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("x"), maxHeld)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Fatalf("the folder is there: %v", err)
	}
	w.Open()
	if _, err := w.Write([]byte("second\n")); err != nil {
		t.Fatal(err)
	}
	if text, _ := content(t, filepath.Join(state, "logs")); text != "first\nsecond\n" {
		t.Errorf("%q", text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("late\n")); err == nil {
		t.Error("written after Close")
	}
}

// A file that was removed under its writer has a successor.
func TestARemovedFileIsBegunAnew(t *testing.T) {
	state := t.TempDir()
	w := New(state, "logs", "a", Bounds{Size: 1 << 20, Files: 3, Age: time.Hour})
	w.Open()
	defer w.Close()
	for n := range 2 {
		if _, err := fmt.Fprintf(w, "%d\n", n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if err := os.RemoveAll(filepath.Join(state, "logs")); err != nil {
				t.Fatal(err)
			}
			w.checked = time.Time{} // a second ago
		}
	}
	if text, _ := content(t, filepath.Join(state, "logs")); text != "1\n" {
		t.Errorf("%q", text)
	}
}

// The folder of a project that was moved away is not made again: its files would be in the way when
// it is moved back.
func TestAFolderThatWasMovedStaysAway(t *testing.T) {
	project := filepath.Join(t.TempDir(), "project")
	state := filepath.Join(project, ".openmas", "crew")
	w := New(state, "logs", "a", Bounds{Size: 1 << 20, Files: 3, Age: time.Hour})
	w.Open()
	defer w.Close()
	if _, err := w.Write([]byte("0\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(project); err != nil {
		t.Fatal(err)
	}
	w.checked = time.Time{} // a second ago
	if _, err := w.Write([]byte("1\n")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(project); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made again: %v", err)
	}
}
