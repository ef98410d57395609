package doctest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/doctest/transcript"
	"github.com/openmas/openmas/internal/testkit"
)

// A console block is a transcript. A line that begins with "$ " is a command, of words and quotes;
// the lines below are what it prints on a terminal, where blanks count as one, empty lines do not
// count and neither do the lines about a build, a start or a reload that takes a while, "..."
// stands for any text in a line, and a line of "..." for any lines. The exit code is 0, unless the
// command ends in "# exit code N".
//
// The commands are openmas, make, go, curl, sh with a script of the document, and cd; node and
// .venv/bin/python where the document has programs for them.
//
// `openmas run`, `openmas dev` and `make run` without --once go on: the next command begins when
// the lines have appeared, and they run until the end of the document, or until a line "^C", which
// is Ctrl-C. So does a program of the document with the argument 127.0.0.1:9000, at which it
// serves. The ports 8765 and 9000 are in fact free ones, and so are 14222 to 14224 and 14232 to
// 14234, which are for NATS servers.

// venvPython is the program of the environment beside a document's Python files.
const venvPython = ".venv/bin/python"

// patience is how long a command may take, builds included.
const patience = 2 * time.Minute

// console runs a command and compares.
func (c *docChecker) console(t *testing.T, s transcript.Step) error {
	if s.Err != nil {
		return s.Err
	}
	switch {
	case s.Args[0] == "cd":
		return c.cd(s.Args[1:])
	case s.Args[0] == "sh" && (len(s.Args) < 2 || strings.HasPrefix(s.Args[1], "-")):
		return fmt.Errorf("%q: sh runs a script of the document", s.Args)
	case !slices.Contains([]string{"openmas", "make", "go", "curl", "sh", "node", venvPython}, s.Args[0]):
		return fmt.Errorf("the command %q: it is none of openmas, make, go, curl, sh, node, %s and cd", s.Args[0],
			venvPython)
	case s.Args[0] == venvPython: // the command's folder is not that of this program
		s.Args[0] = filepath.Join(c.repo, c.folder, filepath.FromSlash(venvPython))
	}
	if _, err := exec.LookPath(s.Args[0]); err != nil && s.Args[0] != "openmas" {
		t.Skipf("%s is not installed", s.Args[0])
	}
	var args []string
	for _, a := range s.Args[1:] {
		args = append(args, strings.NewReplacer(append(slices.Clone(c.brokers), "127.0.0.1:8765", "127.0.0.1:"+c.port,
			"127.0.0.1:9000", "127.0.0.1:"+c.other, "/home/you/openmas", c.repo)...).Replace(a))
	}
	if s.Args[0] == "make" && slices.Equal(args, []string{"test"}) {
		args, s.Prints = []string{"-n", "test"}, []string{"..."} // it would run this test
	}
	cmd := c.command(t, filepath.Join(c.repo, c.folder), s.Args[0], args...)
	runs := len(args) > 0 && (args[0] == "run" || args[0] == "dev")
	runs = runs && !slices.Contains(args, "--stdio") && !slices.Contains(args, "--help")
	goesOn := runs && !slices.Contains(args, "--once") || slices.Contains(args, "127.0.0.1:"+c.other)
	if runs && !slices.Contains(args, "127.0.0.1:"+c.port) { // a program that listens itself has no gateway
		cmd.Env = append(cmd.Env, "OPENMAS_CONFIG__gateway__listen=127.0.0.1:"+c.port)
	}
	r, err := startOnTerminal(cmd)
	if errors.Is(err, testkit.ErrNoTerminal) {
		t.Skip(err)
	}
	if err != nil {
		return err
	}
	if !goesOn {
		defer r.kill()
		if !r.wait(patience) {
			return fmt.Errorf("%q does not end; it printed\n%s", s.Args, c.shown(r.output()))
		}
		if !transcript.Matches(s.Prints, c.shown(r.output())) {
			return fmt.Errorf("%q printed\n%s\nand not\n%s", s.Args, c.shown(r.output()), strings.Join(s.Prints, "\n"))
		}
		return r.exited(s.Code, c.shown(r.output()))
	}
	c.running = append(c.running, r)
	end := time.Now().Add(patience)
	for !transcript.Matches(s.Prints, c.shown(r.output())) {
		if r.wait(20*time.Millisecond) || time.Now().After(end) {
			return fmt.Errorf("%q printed\n%s\nand not\n%s", s.Args, c.shown(r.output()), strings.Join(s.Prints, "\n"))
		}
	}
	if !s.Interrupt {
		return nil
	}
	before := len(r.output())
	if err := r.interrupt(); err != nil {
		return err
	}
	if !r.wait(patience) {
		return fmt.Errorf("%q does not end after Ctrl-C; it printed\n%s", s.Args, c.shown(r.output()))
	}
	printed := strings.TrimPrefix(c.shown(r.output()[before:]), "^C")
	if !transcript.Matches(s.After, printed) {
		return fmt.Errorf("after Ctrl-C %q printed\n%s\nand not\n%s", s.Args, printed, strings.Join(s.After, "\n"))
	}
	if s.Args[0] == "make" {
		return nil // make itself dies of the signal
	}
	return r.exited(s.Code, c.shown(r.output()))
}

// cd changes the working folder of the document's next commands.
func (c *docChecker) cd(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("cd %q: it takes one folder", args)
	}
	folder := filepath.Join(c.folder, filepath.FromSlash(args[0]))
	if !filepath.IsLocal(folder) {
		return fmt.Errorf("cd %s: it is not below the working folder of the document", args[0])
	}
	if _, err := os.Stat(filepath.Join(c.repo, folder)); err != nil {
		return fmt.Errorf("cd: %w", err)
	}
	c.folder = folder
	return nil
}

// colours are what a program of a document writes on a terminal that it takes for a better one.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// shown is an output as the documents show it.
func (c *docChecker) shown(out string) string {
	as := []string{"\r\n", "\n", "127.0.0.1:" + c.port, "127.0.0.1:8765", "127.0.0.1:" + c.other, "127.0.0.1:9000",
		c.repo, "/home/you/openmas"}
	for i := 0; i < len(c.brokers); i += 2 {
		as = append(as, c.brokers[i+1], c.brokers[i])
	}
	return strings.NewReplacer(as...).Replace(colours.ReplaceAllString(out, ""))
}

// stopAll ends what still runs.
func (c *docChecker) stopAll() {
	for _, r := range c.running {
		if err := r.interrupt(); err != nil || !r.wait(30*time.Second) {
			r.kill()
		}
	}
	c.running = nil
}

// exited compares the exit code.
func (r *running) exited(want int, printed string) error {
	var exit *exec.ExitError
	switch {
	case r.err == nil && want == 0:
		return nil
	case errors.As(r.err, &exit) && exit.ExitCode() == want:
		return nil
	case errors.As(r.err, &exit):
		return fmt.Errorf("exit code %d, and not %d; if that is right, end the command in \"# exit code %d\"; it "+
			"printed\n%s", exit.ExitCode(), want, exit.ExitCode(), printed)
	}
	return fmt.Errorf("exit code 0 (%v), and not %d", r.err, want)
}
