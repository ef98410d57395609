package child

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// What a command names is missed wherever it is named, and noticed when it comes.
func TestSight(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	write := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	name := "tool"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for what, c := range map[string]struct {
		command []string
		comes   string
		mode    os.FileMode
	}{
		"an argument": {[]string{"sh", "lib/server"}, filepath.Join(dir, "lib", "server"), 0o600},
		"a word of a script": {[]string{"sh", "-c", "cd .; exec ./server.bin --port=1"},
			filepath.Join(dir, "server.bin"), 0o700},
		"an option":             {[]string{"env", "--chdir=sub/x", "true"}, filepath.Join(dir, "sub", "x"), 0o600},
		"an absolute path":      {[]string{"env", filepath.Join(dir, "abs")}, filepath.Join(dir, "abs"), 0o700},
		"a program of the PATH": {[]string{"env", name, "x"}, filepath.Join(bin, name), 0o700},
		"a script of its own":   {[]string{"sh", "run.sh"}, filepath.Join(dir, "run.sh"), 0o600},
	} {
		t.Run(what, func(t *testing.T) {
			s := Spec{Command: c.command, Dir: dir, Env: map[string]string{"PATH": bin}}
			before := s.Look()
			if s.Look().MendedSince(before) {
				t.Error("nothing has changed")
			}
			if err := os.MkdirAll(filepath.Dir(c.comes), 0o700); err != nil {
				t.Fatal(err)
			}
			if s.Look().MendedSince(before) {
				t.Error("only a folder has come")
			}
			write(c.comes, c.mode)
			after := s.Look()
			if !after.MendedSince(before) || before.MendedSince(after) {
				t.Errorf("%+v, then %+v", before, after)
			}
			if runtime.GOOS != "windows" && c.mode == 0o600 {
				if err := os.Chmod(c.comes, 0o700); err != nil { //nolint:gosec // it is to be executable
					t.Fatal(err)
				}
				if !s.Look().MendedSince(after) {
					t.Error("that it can be executed counts")
				}
			}
		})
	}
	s := Spec{Command: []string{filepath.Join(dir, "abs"), "lib/server", "run.sh"}, Dir: dir}
	touch := func(name string) (Sight, Sight) {
		before, then := s.Look(), time.Now().Add(time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), then, then); err != nil {
			t.Fatal(err)
		}
		return before, s.Look()
	}
	for name, counts := range map[string]bool{"abs": true, "lib/server": true, "run.sh": false} {
		if before, after := touch(name); after.MendedSince(before) != counts {
			t.Errorf("%s was changed: %v", name, !counts)
		}
	}
}
