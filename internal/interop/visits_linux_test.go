package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/internal/testkit"
)

// page is where somebody is to go who has agreed to.
var page = regexp.MustCompile(`open it in your browser: (http://127\.0\.0\.1:\d+/sign-in)\r\n`)

// A Python server sends the user of openmas call to a page, and waits until somebody has been
// there: as a program, as an agent of a project, and behind a system that runs.
func TestAPythonServerSendsItsUserToAPage(t *testing.T) {
	rows.add(t, "Python SDK", toolbox.PythonNewVersion, theirServer+" (pages to visit)", "stdio")
	needs(t, toolbox.PythonNew)
	t.Parallel()
	script, err := filepath.Abs(filepath.Join("testdata", "python", "server.py"))
	if err != nil {
		t.Fatal(err)
	}
	python := toolbox.PythonIn(folder(toolbox.PythonNew))
	command, err := json.Marshal([]string{python, script})
	if err != nil {
		t.Fatal(err)
	}
	project := projectFile(t, fmt.Sprintf("project: interop\ngateway: {listen: '127.0.0.1:0'}\nagents:\n"+
		"  py: {command: %s}\n", command))
	visit(t, "connect", "--command", python+" "+script)
	visit(t, "py.connect", "-p", project)
	run := start(t, nil, openmas(t), "run", project, "--log-format", "text")
	url := run.url(t)
	visit(t, "py_connect", "--url", url)
	visit(t, "py.connect", "-p", project)

	// Nobody is there to be asked, or a page is to be visited before the call.
	const vault = "  > Open the vault.\n  https://vault.example/open?key=7\n"
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"py.connect", "-p", project}, "no flag agrees to that"},
		{[]string{"py_connect", "--url", url}, "no flag agrees to that"},
		{[]string{"py.vault", "-p", project}, vault},
		{[]string{"py_vault", "--url", url}, vault},
	} {
		p := start(t, nil, append([]string{openmas(t), "call", "--yes"}, tt.args...)...)
		p.finish(t)
		if !strings.Contains(p.stderr()+"\n", tt.want) {
			t.Errorf("%q: no %q in\n%s", tt.args, tt.want, p.stderr())
		}
	}
	run.stop(t)
}

// visit calls a tool at a terminal and does what it wants.
func visit(t *testing.T, args ...string) {
	t.Helper()
	var shown testkit.Buffer
	keys, program := testkit.Terminal(t, &shown)
	var out strings.Builder
	cmd := exec.Command(openmas(t), append([]string{"call"}, args...)...)
	cmd.Dir, cmd.Env = bench.dir, append(os.Environ(), "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, &out, program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
	text := func() string { return logs.StripColors(shown.String()) }
	testkit.Eventually(t, "the question", func() bool {
		return strings.Contains(text(), "  > Sign in, please.") && strings.Contains(text(), "will you visit 127.0.0.1:")
	}, &shown)
	if _, err := io.WriteString(keys, "y\r"); err != nil {
		t.Fatal(err)
	}
	var at []string
	testkit.Eventually(t, "the page", func() bool { at = page.FindStringSubmatch(text()); return at != nil }, &shown)
	res, err := http.Get(at[1])
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	select {
	case err = <-ended:
	case <-time.After(hang):
		t.Fatalf("%q runs still\n%s", args, &shown)
	}
	if err != nil || strings.TrimSpace(out.String()) != "connected" {
		t.Errorf("%q: %v, %q\n%s", args, err, &out, &shown)
	}
	testkit.Eventually(t, "the end of the visit", func() bool {
		return strings.Contains(text(), args[0]+": the visit to 127.0.0.1:")
	}, &shown)
}
