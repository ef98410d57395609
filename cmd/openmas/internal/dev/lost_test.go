//go:build unix

package dev

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/testkit"
)

// Without a go command there is nothing to wait for.
func TestDevWithoutGo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	cmd := b.command("dev", "demo/openmas.yaml")
	cmd.Env = append(cmd.Env, "PATH="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || strings.Count(string(out), "\n") != 1 ||
		!strings.Contains(string(out), "the go command is not in PATH") {
		t.Errorf("%v: %s", err, out)
	}
	// It is not known at first that the project needs one.
	b.edit("demo/openmas.yaml", "package: .", "packag: .")
	cmd = b.command("dev", "demo/openmas.yaml")
	var said testkit.Buffer
	cmd.Env, cmd.Stderr = append(cmd.Env, "PATH="+t.TempDir()), &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	said.Await(t, "the project file is wrong")
	b.edit("demo/openmas.yaml", "packag: .", "package: .")
	if err := testkit.Receive(t, ended); err == nil ||
		!strings.Contains(said.String(), "the go command is not in PATH") {
		t.Errorf("%v: %s", err, &said)
	}
}

// A folder that is gone is named, and no build fails for it. What runs goes on, and takes changes
// when the folder is back.
func TestDevOfAFolderThatMoves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	r := b.dev("demo/openmas.yaml")
	r.await("SSE_SERVER_URL=")
	here, there := filepath.Join(b.Dir, "demo"), filepath.Join(b.Dir, "moved")
	if err := os.Rename(here, there); err != nil {
		t.Fatal(err)
	}
	said := r.await("run openmas dev where it is now): what runs goes on as it is")
	if !strings.HasSuffix(said, "openmas: the folder "+here+
		" is gone, it was moved or removed (put it back, or stop with Ctrl-C and ") || strings.Contains(said, "build") {
		t.Errorf("of a folder that is gone: %s", said)
	}
	if err := os.Rename(there, here); err != nil {
		t.Fatal(err)
	}
	if said := r.await("the folder " + here + " is back"); strings.Contains(said, "gone") {
		t.Errorf("it is said twice: %s", said)
	}
	r.await("it is the same program")
	b.edit("demo/main.go", "Welcome to openmas", "Welcome to dev")
	r.await("live after")
}

// A program whose main does not come to openmas.Main is told of, and the next change gives it up.
func TestDevOfAProgramThatHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	b.write("demo/hang.go", "package main\n\nimport \"time\"\n\nfunc hang() { time.Sleep(time.Hour) }\n")
	b.edit("demo/main.go", "func main() {\n", "func main() {\n\thang()\n")
	r := b.dev("demo/openmas.yaml")
	const told = "waiting for the program to say what its agents offer: its main has not called openmas.Main"
	r.await(told)
	b.edit("demo/main.go", "\thang()\n", "")
	if said := r.await("SSE_SERVER_URL="); strings.Contains(said, "error") {
		t.Errorf("of what was given up: %s", said)
	}
	b.edit("demo/main.go", "func main() {\n", "func main() {\n\thang()\n")
	r.await(told)
	if out, err := b.asked("host.welcome", "name=Ada"); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	// It is stopped now, without a word of the program: see the end of dev.
}

// A change that is not taken does not hide the next one.
func TestDevOfChangesAfterOneThatIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.makeDemo()
	r := b.dev("demo/openmas.yaml")
	r.await("SSE_SERVER_URL=")
	const refused = `cannot change while the system runs: gateway.listen "127.0.0.1:0" -> "127.0.0.1:1"`
	b.edit("demo/openmas.yaml", "127.0.0.1:0", "127.0.0.1:1")
	r.await(refused)
	b.edit("demo/openmas.yaml", "{type: host}", "{type: host, communicator: pubsub}")
	r.await("host: the new communicator has no effect here")
	r.await(refused)
	b.edit("demo/openmas.yaml", "Good morning", "Good evening")
	if said := r.await(refused + " (the changes of greeter wait for that)"); strings.Contains(said, "no effect") {
		t.Errorf("it is said twice: %s", said)
	}
	b.edit("demo/openmas.yaml", "127.0.0.1:1", "127.0.0.1:0")
	if said := r.await("live after"); strings.Contains(said, "cannot change") {
		t.Error(said)
	}
}

// A key that shows what runs says why nothing does.
func TestNothingRuns(t *testing.T) {
	t.Parallel()
	var said testkit.Buffer
	d := &dev{app: &cli.App{Streams: cli.Streams{Err: &said}}}
	d.press(t.Context(), 's')
	d.building = &building{began: time.Now()}
	d.press(t.Context(), 't')
	const want = "openmas: nothing runs: waiting for a change\n" +
		"openmas: nothing runs yet: the package is being built, for "
	if !strings.HasPrefix(said.String(), want) {
		t.Errorf("%s, want %s", &said, want)
	}
}

// A project file that is a link leads to another one, which may look the same.
func TestAProjectFileThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-time.Hour)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "openmas.yaml")
	for _, name := range []string{"a.yaml", "b.yaml"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	w := watched{project: []string{link}}
	var now look
	var said testkit.Buffer
	first := filepath.Join(dir, "a.yaml")
	d := &dev{app: &cli.App{Streams: cli.Streams{Err: &said}}, files: []string{link}, real: first, led: first}
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.Symlink(name, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
		next := w.lookAtProject()
		if changed := next.changed(now); len(changed) != 1 {
			t.Errorf("it leads to %s: %q", name, changed)
		}
		now = next
		d.noteLink()
		d.noteLink()
	}
	if text := said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "leads to "+
		filepath.Join(dir, "b.yaml")+" now: openmas call, status and the others find what runs with -p "+first) {
		t.Errorf("it is said: %s", text)
	}
}
