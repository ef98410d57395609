package gobuild

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slots makes folders of programs, used that long ago.
func slots(t *testing.T, ages ...time.Duration) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for i, age := range ages {
		dir := filepath.Join(folder, fmt.Sprint(i))
		f, err := hold(dir)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := os.WriteFile(filepath.Join(dir, "program"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(dir, inUse), at, at); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// left are the names in a folder, in order.
func left(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestBuiltProgramsAreBounded(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		ages []time.Duration
		want string
	}{
		"the newest stay": {[]time.Duration{9 * day, 1 * day, 8 * day, 2 * day, 7 * day, 3 * day, 6 * day, 4 * day,
			5 * day, 10 * day}, "1 2 3 4 5 6 7 8"},
		"the old go": {[]time.Duration{31 * day, day, 29 * day}, "1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := slots(t, c.ages...)
			if err := os.WriteFile(filepath.Join(folder, "not ours"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := prune(folder, time.Now()); err != nil {
				t.Fatal(err)
			}
			if got := left(t, folder); got != c.want+" not ours" {
				t.Errorf("left: %s, want %s", got, c.want)
			}
		})
	}
	t.Run("what one that was killed has left goes", func(t *testing.T) {
		folder := t.TempDir()
		for _, name := range []string{"a" + generations + "x", "a" + generations + "y", "b"} {
			f, err := hold(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "y") {
				f.Close()
			} else {
				defer f.Close()
			}
		}
		if err := prune(folder, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := left(t, folder); runtime.GOOS != "windows" && got != "a"+generations+"x b" {
			t.Errorf("left: %s", got)
		}
	})
	t.Run("what is used stays", func(t *testing.T) {
		folder := slots(t, 31*day, 31*day)
		f, err := hold(filepath.Join(folder, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := prune(folder, time.Now().Add(31*day)); err != nil {
			t.Fatal(err)
		}
		if got := left(t, folder); got != "0" {
			t.Errorf("left: %s", got)
		}
	})
}

// Some take a folder while others remove it: who has taken it has it.
func TestHoldAndRemove(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows refuses to make what is being removed")
	}
	dir := filepath.Join(t.TempDir(), "slot")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				f, err := hold(dir)
				if err != nil {
					t.Error(err)
					return
				}
				program := filepath.Join(dir, "program")
				if err := os.WriteFile(program, nil, 0o600); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(program); err != nil {
					t.Error(err)
				}
				f.Close()
			}
		})
		all.Go(func() {
			for range 200 {
				_ = remove(dir) // it may be held, or gone
			}
		})
	}
	all.Wait()
}

// A build that takes no time is not announced.
func TestBuildsAreAnnounced(t *testing.T) {
	broken := errors.New("it does not compile")
	for name, c := range map[string]struct {
		takes time.Duration
		err   error
		want  string
	}{
		"warm":            {quiet / 2, nil, ""},
		"warm and broken": {quiet / 2, broken, ""},
		"cold":            {12 * quiet, nil, "openmas: building ./crew\nopenmas: built ./crew in 12s\n"},
		"cold and broken": {12 * quiet, broken, "openmas: building ./crew\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				err := announced(&out, "./crew", func() error { <-time.After(c.takes); return c.err })
				if !errors.Is(err, c.err) || out.String() != c.want {
					t.Errorf("%q, %v; want %q", out.String(), err, c.want)
				}
			})
		})
	}
}
