package statekey_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/internal/statekey"
)

// TestMain: with a folder in the environment this is a process of a project that starts at the same
// moment as others, and shows its key.
func TestMain(m *testing.M) {
	if dir := os.Getenv("STATEKEY_TEST_DIR"); dir != "" {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // all begin at once
		s := statekey.Source{Project: "p", Dir: dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
		fmt.Println(hex.EncodeToString(s.Keys()()[0]))
		return
	}
	os.Exit(m.Run())
}

func source(dir string, log *bytes.Buffer, secrets ...string) statekey.Source {
	return statekey.Source{Project: "p", Dir: dir, Secrets: secrets, Logger: slog.New(slog.NewTextHandler(log, nil))}
}

// The key is made when it is first needed, is its user's alone, and stays.
func TestTheKeyOfAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var log bytes.Buffer
	keys := source(dir, &log).Keys()
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is made before anybody needs it")
	}
	first := keys()
	if again := source(dir, &log).Keys()(); len(first) != 1 || len(first[0]) != 32 || !bytes.Equal(first[0], again[0]) {
		t.Errorf("%x, later %x", first, again)
	}
	other := source(dir, &log)
	other.Project = "q"
	if bytes.Equal(other.Keys()()[0], first[0]) {
		t.Error("two projects have one key")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 || files[1].Name() != statekey.File { // besides .gitignore
		t.Fatalf("%v %v", files, err)
	}
	if info, err := files[1].Info(); err != nil || runtime.GOOS != "windows" && info.Mode() != fs.FileMode(0o600) {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if log.Len() > 0 {
		t.Errorf("%s", &log)
	}
}

// The goroutines and processes of a project that start at once agree.
func TestOneKeyOfMany(t *testing.T) {
	testkit.Processes(t)
	dir := filepath.Join(t.TempDir(), "state")
	const n = 8
	got := make([]string, n)
	var inputs []interface{ Close() error }
	var all sync.WaitGroup
	for i := range n {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), "STATEKEY_TEST_DIR="+dir)
		c.Stderr = os.Stderr
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, in)
		all.Go(func() {
			out, err := c.Output()
			if err != nil {
				t.Error(err)
			}
			got[i] = strings.TrimSpace(string(out))
		})
	}
	for _, in := range inputs {
		_ = in.Close() // the line that they wait for ends
	}
	all.Wait()
	for _, key := range got {
		if key != got[0] || len(key) != 64 {
			t.Fatalf("%q", got)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 { // besides .gitignore
		t.Errorf("%v %v", files, err)
	}
}

// A project that sets its keys needs no folder, and can replace them.
func TestKeysOfTheProjectFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var log bytes.Buffer
	before := source(dir, &log, "old secret").Keys()()
	now := source(dir, &log, "new secret", "old secret").Keys()()
	if len(now) != 2 || !bytes.Equal(now[1], before[0]) || bytes.Equal(now[0], now[1]) {
		t.Errorf("%x %x", before, now)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder is made")
	}
}

// Where there is no key to share the process says why, and goes on with one of its own. It shows no
// key.
func TestKeysThatCannotBeShared(t *testing.T) {
	good := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		text string
		mode fs.FileMode
		want string
	}{
		"others can read it": {good, 0o640, "other users can read it"},
		"cut":                {good[:20], 0o600, "does not hold a key"},
		"empty":              {"", 0o600, "does not hold a key"},
		"something else":     {"hello", 0o600, "does not hold a key"},
	} {
		if c.mode != 0o600 && runtime.GOOS == "windows" {
			continue
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, statekey.File), []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		a, b := source(dir, &log).Keys(), source(dir, &log).Keys()
		if bytes.Equal(a()[0], b()[0]) || !bytes.Equal(a()[0], a()[0]) {
			t.Errorf("%s: not keys of their own", name)
		}
		if strings.Count(log.String(), c.want) != 2 || strings.Contains(log.String(), good[:20]) {
			t.Errorf("%s: %s", name, &log)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if keys := source(file, &log).Keys()(); len(keys[0]) != 32 || !strings.Contains(log.String(), "not a directory") &&
		runtime.GOOS != "windows" {
		t.Errorf("%x %s", keys, &log)
	}
}
