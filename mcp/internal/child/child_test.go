package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/guard"
)

func TestProtocolOverStdio(t *testing.T) {
	spec := as("echo")
	spec.Stdio = true
	var logged []string
	spec.Log = func(line []byte) { logged = append(logged, string(line)) }
	p, up := start(t, spec)
	if up != "up" {
		t.Errorf("ready with %q", up)
	}
	out := bufio.NewReader(p.Stdout())
	for i := range 100 {
		want := fmt.Sprintf("message %d\n", i)
		if _, err := io.WriteString(p.Stdin(), want); err != nil {
			t.Fatal(err)
		}
		if got, err := out.ReadString('\n'); got != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	if err := p.Err(); err != nil {
		t.Errorf("while it runs: %v", err)
	}
	p.Stdin().Close()
	if rest, err := io.ReadAll(out); err != nil || len(rest) != 0 {
		t.Errorf("at the end: %q, %v", rest, err)
	}
	wait(t, p)
	if err := p.Err(); err != nil {
		t.Errorf("after exit code 0: %v", err)
	}
	if want := []string{"up", "bye"}; !slices.Equal(logged, want) || !slices.Equal(p.Tail(), want) {
		t.Errorf("logged %q, tail %q, want %q", logged, p.Tail(), want)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("stop after the end: %v", err)
	}
	p.Kill()
}

// A protocol's last words are not lost, even when they are read after the process has ended, nor do
// they hold it up for ever.
func TestProtocolOutputAfterExit(t *testing.T) {
	spec := as("print", "STDOUT=last words")
	spec.Stdio, spec.Ready = true, nil
	p, _ := start(t, spec)
	<-p.exited
	if got, err := io.ReadAll(p.Stdout()); string(got) != "last words" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	wait(t, p)

	unread, _ := start(t, spec)
	wait(t, unread)
	if got, err := io.ReadAll(unread.Stdout()); len(got) != 0 || err != nil {
		t.Errorf("after Done: %q, %v", got, err)
	}
}

func TestExitError(t *testing.T) {
	spec := as("fail")
	spec.Ready = prefixed("never")
	p, err := Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Ready(bounded(t))
	exit, ok := errors.AsType[*ExitError](err)
	if !ok || exit.Code != 3 || exit.Signal != "" || exit.Stopped || exit.Pid != p.Pid() {
		t.Fatalf("ready: %#v", err)
	}
	if len(exit.Tail) != 20 || exit.Tail[0] != "line 10" || exit.Tail[19] != "line 29" {
		t.Errorf("tail %q", exit.Tail)
	}
	contains(t, err.Error(), "not ready", filepath.Base(os.Args[0]),
		fmt.Sprintf("pid %d", p.Pid()), "exited with code 3")
	wait(t, p)
	if p.Err() != error(exit) {
		t.Errorf("Err is %v", p.Err())
	}
}

func TestReadyFailsOnExitZero(t *testing.T) {
	spec := as("print")
	spec.Ready = prefixed("never")
	p, err := Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Ready(bounded(t))
	if err == nil {
		t.Fatal("ready")
	}
	contains(t, err.Error(), "exited with code 0")
	if p.Err() != nil {
		t.Errorf("Err is %v", p.Err())
	}
}

func TestReadyEndsWithContext(t *testing.T) {
	spec := as("say", "STDERR=still thinking\n")
	seen := make(chan struct{})
	spec.Log = func([]byte) { close(seen) }
	spec.Ready = prefixed("never")
	p, err := Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	<-seen
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no patience"))
	_, err = p.Ready(ctx)
	if err == nil {
		t.Fatal("ready")
	}
	contains(t, err.Error(), "no patience")
	contains(t, strings.Join(p.Tail(), ""), "still thinking")
	p.Kill()
	wait(t, p)
}

func TestReadyLines(t *testing.T) {
	glued := `SSE_SERVER_URL=http://127.0.0.1:8000\n`
	for name, tt := range map[string]struct {
		env   string
		ready func(string, bool) (string, bool)
		want  string
	}{
		"on stderr": {"STDERR=hello\nSSE_SERVER_URL=http://127.0.0.1:8000\n", SSEURL,
			"http://127.0.0.1:8000"},
		"on stdout": {"STDOUT=SSE_SERVER_URL=http://127.0.0.1:8000\n", SSEURL,
			"http://127.0.0.1:8000"},
		"glued, line goes on":      {"STDERR=" + glued + "2025 INFO started\n", SSEURL, "http://127.0.0.1:8000"},
		"glued, line does not end": {"STDERR=" + glued, SSEURL, "http://127.0.0.1:8000"},
		"stdio, line does not end": {`STDERR=STDIO_SERVER_READY\n`, StdioReady, ""},
		"stdio, after other lines": {"STDERR=a\nb\nSTDIO_SERVER_READY\n", StdioReady, ""},
		"no readiness asked for":   {"STDERR=x", nil, ""},
		"a line of more than 64 KiB": {"STDERR=" + strings.Repeat("x", maxLine+5) + "\nSTDIO_SERVER_READY\n",
			StdioReady, ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := as("say", tt.env)
			spec.Ready = tt.ready
			p, got := start(t, spec)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if again, err := p.Ready(t.Context()); again != tt.want || err != nil {
				t.Errorf("again %q, %v", again, err)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("MY_SECRET", "hunter2")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("TZ", "UTC")
	dir := t.TempDir()
	spec := as("env", "OWN=yes", "TZ=Europe/Berlin")
	spec.Dir = dir
	p, line := start(t, spec)
	wait(t, p)
	got := strings.Split(line, "|")
	if real, err := filepath.EvalSymlinks(dir); err != nil || got[0] != real && got[0] != dir {
		t.Errorf("runs in %s, want %s", got[0], dir)
	}
	allowed := slices.Concat(inherited, inheritedWindows, []string{roleVariable, "OWN", "GORACE", "GOCOVERDIR",
		guard.Var})
	for _, entry := range got[1:] {
		if name, _, _ := strings.Cut(entry, "="); !slices.Contains(allowed, strings.ToUpper(name)) {
			t.Errorf("it sees %s", entry)
		}
	}
	for _, want := range []string{"OWN=yes", "TZ=Europe/Berlin", "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(got, want) {
			t.Errorf("it does not see %s", want)
		}
	}
}

func TestStartFindsTheCommand(t *testing.T) {
	exe := as("").Command[0]
	dir := t.TempDir()
	name := "tool" + filepath.Ext(exe)
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, "bin", name)); err != nil {
		t.Skip(err)
	}
	for title, tt := range map[string]struct{ command, dir, path string }{
		"relative to its folder": {"bin/" + name, dir, ""},
		"in the child's own PATH": {name, "",
			strings.Join([]string{"", "relative", filepath.Join(dir, "none"), filepath.Join(dir, "bin")},
				string(filepath.ListSeparator))},
	} {
		t.Run(title, func(t *testing.T) {
			spec := as("print", "STDOUT=found\n")
			spec.Command, spec.Dir = []string{tt.command}, tt.dir
			if tt.path != "" {
				spec.Env["PATH"] = tt.path
			}
			if p, got := start(t, spec); got != "found" {
				t.Errorf("%s printed %q", p, got)
			}
		})
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("plain.py", "print()\n", 0o644)
	orphan := write("orphan", "#!/no/such/python\n", 0o755)
	bare := write("bare", "print()\n", 0o755)
	exe := as("").Command[0]
	canceled, cancel := context.WithCancel(t.Context())
	cancel()

	for name, tt := range map[string]struct {
		spec     Spec
		ctx      context.Context
		is       error
		unixOnly bool
		want     []string
	}{
		"empty":      {spec: Spec{}, want: []string{"command is empty"}},
		"empty name": {spec: Spec{Command: []string{""}}, want: []string{"command is empty"}},
		"NUL": {spec: Spec{Command: []string{"x", "secret\x00"}}, want: []string{"argument 1 contains a NUL " +
			"byte"}},
		"not in PATH": {spec: Spec{Command: []string{"no-such-tool", "--key=secret"},
			Env: map[string]string{"PATH": dir}}, is: fs.ErrNotExist,
			want: []string{`"no-such-tool" not found in PATH (` + dir + `)`, "install it"}},
		"empty PATH": {spec: Spec{Command: []string{"no-such-tool"}, Env: map[string]string{"PATH": ""}},
			is: fs.ErrNotExist, want: []string{"PATH is empty"}},
		"no file": {spec: Spec{Command: []string{"./nothing"}, Dir: dir}, is: fs.ErrNotExist,
			want: []string{`"./nothing" not found`, filepath.Join(dir, "nothing")}},
		"a folder": {spec: Spec{Command: []string{dir + "/"}}, want: []string{"is a directory"}, unixOnly: true},
		"no x bit": {spec: Spec{Command: []string{plain}}, is: fs.ErrPermission,
			want: []string{plain, "not executable", "chmod +x"}, unixOnly: true},
		"PATH, no x": {spec: Spec{Command: []string{"plain.py"}, Env: map[string]string{"PATH": dir}},
			is: fs.ErrPermission, want: []string{plain, "not executable"}, unixOnly: true},
		"no python": {spec: Spec{Command: []string{orphan}}, is: fs.ErrNotExist,
			want: []string{orphan, "interpreter"}, unixOnly: true},
		"no #! line": {spec: Spec{Command: []string{bare}}, want: []string{bare, "#!/usr/bin/env"}, unixOnly: true},
		"no dir": {spec: Spec{Command: []string{exe}, Dir: filepath.Join(dir, "no")}, is: fs.ErrNotExist,
			want: []string{filepath.Join(dir, "no"), "does not exist"}},
		"dir a file": {spec: Spec{Command: []string{exe}, Dir: plain}, want: []string{plain, "not a directory"}},
		"bad variable": {spec: Spec{Command: []string{exe}, Env: map[string]string{"A=B": "secret"}},
			want: []string{`"A=B"`}},
		"bad value": {spec: Spec{Command: []string{exe}, Env: map[string]string{"A": "secret\x00"}},
			want: []string{"variable A"}},
		"canceled": {spec: as("echo"), ctx: canceled, is: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.unixOnly && runtime.GOOS == "windows" {
				t.Skip("about Unix files")
			}
			if tt.ctx == nil {
				tt.ctx = t.Context()
			}
			p, err := Start(tt.ctx, tt.spec)
			if err == nil {
				p.Kill()
				wait(t, p)
				t.Fatal("it started")
			}
			contains(t, err.Error(), tt.want...)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q tells a secret", err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%q is not %v", err, tt.is)
			}
		})
	}
}
