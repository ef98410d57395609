package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// In a real bash, Tab completes agents and tools, arguments and values: of a project that runs, and
// of one that does not. Without the package bash-completion, too.
func TestBashCompletes(t *testing.T) {
	testkit.Processes(t)
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := projectFile(t, shop)
	dir := filepath.Dir(path)
	wrapper := "#!/bin/sh\n" + mainVar + "=1 exec '" + exe + "' \"$@\"\n"
	program := filepath.Join(dir, "openmas")
	if err := os.WriteFile(program, []byte(wrapper), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	s := newScreen(t, 200, 50)
	shell := exec.Command(bash, "--norc", "--noprofile", "-i")
	shell.Dir, shell.Stdin, shell.Stdout, shell.Stderr = dir, s.program, s.program, s.program
	shell.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "PS1=ready> ", "TERM=dumb", "HISTFILE=")
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		s.press("\x15exit\r")
		ended := make(chan error, 1)
		go func() { ended <- shell.Wait() }()
		select {
		case <-ended:
		case <-time.After(hang):
			_ = shell.Process.Kill()
			<-ended
			t.Errorf("bash does not end: %q", s.shown.String())
		}
	}()
	s.press("source <(openmas completion bash); echo so''urced\r")
	s.sees("sourced\r\nready> ")
	types := func(keys, want string) {
		t.Helper()
		// On a busy machine the second in which Tab looks may be too short.
		testkit.Longer(t, keys+" shows "+want, 10*completeTime, func(d time.Duration) bool {
			s.shown.Reset()
			s.press("\x15" + keys) // Ctrl-U: an empty line
			return s.seesWithin(d, want)
		})
	}
	both := func() {
		t.Helper()
		types("openmas stat\t", "openmas status ")
		types("openmas call cl\tord\t", "openmas call clerk.order ")
		types("openmas call clerk.order it\t", "clerk.order item=")
		types("openmas call clerk.order item=tea 'note=a b' si\tla\t", "'note=a b' size=large ")
		types("openmas call clerk.order express=f\t", "express=false ")
		types("openmas call --prompt \t", "--prompt clerk.letter ")
		types("openmas call --prompt clerk.letter w\t", "clerk.letter who=")
		types("openmas call clerk://h\t", "clerk://hours")
		types("openmas restart cl\t", "openmas restart clerk ")
	}
	both()
	serve(t, path)
	both()
	types("openmas call openmas.li\t", "openmas call openmas.list ")
	s.press("\x15")
	if text := s.shown.String(); strings.Contains(text, "not found") || strings.Contains(text, "openmas:") {
		t.Errorf("completion is not silent: %q", text)
	}
}

// Completion is silent where there is nothing to complete, and where it fails, and starts nothing.
func TestCompletionFails(t *testing.T) {
	for _, args := range [][]string{
		{"call", "-p", "/nowhere/openmas.yaml", ""},
		{"call", "-p", projectFile(t, "agents: 7"), ""},
		{"call", "--url", "http://127.0.0.1:1", ""},
		{"call", "--command", "false", ""},
		{"call", "-p", projectFile(t, shop), "clerk.none", ""},
		{"call", "-p", projectFile(t, shop), "clerk.order", "none="},
		{"call", "-p", projectFile(t, shop), "clerk://hours", ""},
		{"restart", "-p", "/nowhere/openmas.yaml", ""},
	} {
		began := time.Now()
		r := run(t, "", append([]string{"__complete"}, args...)...)
		if r.code != exitOK || !strings.HasPrefix(r.out, ":") || strings.Contains(r.err, "openmas:") {
			t.Errorf("%q: %+v", args, r)
		}
		if took := time.Since(began); took > hang {
			t.Errorf("%q: it took %v", args, took)
		}
	}
	path := projectFile(t, "agents: {clerk: {type: clerk}, far: {command: ['false'], tools: {dig: {timeout: 3s}}}, "+
		"else: {command: ['false']}}")
	r := run(t, "", "__completeNoDesc", "call", "-p", path, "")
	if !strings.HasSuffix(r.out, "clerk.nap\nelse.\nfar.dig\n:38\n") {
		t.Errorf("%+v", r)
	}
	nothingStarted(t, path)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := run(t, "", "completion", shell); r.code != exitOK || !strings.Contains(r.out, "__complete") {
			t.Errorf("%s: %+v", shell, r)
		}
	}
	if r := run(t, "", "completion", "tcsh"); r.code != exitUsage || !strings.Contains(r.err, "name a shell") {
		t.Errorf("%+v", r)
	}
}
