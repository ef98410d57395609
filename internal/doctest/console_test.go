package doctest

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/mcp"
)

// A console block is a transcript. A line that begins with "$ " is a command, of words and quotes;
// the lines below are what it prints on a terminal, where blanks count as one, empty lines do not
// count and neither does the lines about a build that takes a while, "..." stands for any text in a
// line, and a line of "..." for any lines. The exit code is 0, unless the command ends in "# exit
// code N".
//
// `openmas run` and `make run` without --once go on: the next command begins when the lines have
// appeared, and they run until the end of the document, or until a line "^C", which is Ctrl-C. The
// port 8765 is in fact a free one.

// patience is how long a command may take, builds included.
const patience = 2 * time.Minute

// A step is one command of a block.
type step struct {
	line int
	args []string
	err  error // of splitting it
	code int
	// prints is what it prints; after what follows Ctrl-C, if interrupt.
	prints, after []string
	interrupt     bool
}

var exitCode = regexp.MustCompile(`\s+# exit code (\d+)$`)

func steps(b block) []step {
	var out []step
	for i, line := range b.lines {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			s := step{line: b.line + i + 1}
			if m := exitCode.FindStringSubmatch(command); m != nil {
				s.code, s.err = strconv.Atoi(m[1])
				command = strings.TrimSuffix(command, m[0])
			}
			if s.err == nil {
				s.args, s.err = splitWords(command)
			}
			out = append(out, s)
			continue
		}
		if len(out) == 0 {
			return []step{{line: b.line + i + 1, err: errors.New(`a console block begins with a command: "$ ..."`)}}
		}
		switch last := &out[len(out)-1]; {
		case line == "^C":
			last.interrupt = true
		case last.interrupt:
			last.after = append(last.after, line)
		default:
			last.prints = append(last.prints, line)
		}
	}
	return out
}

// splitWords splits a command into words; quotes keep blanks together.
func splitWords(line string) (words []string, err error) {
	word, in, quote := "", false, rune(0)
	for _, r := range line {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word += string(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ':
			if in {
				words = append(words, word)
			}
			word, in = "", false
		case strings.ContainsRune("|&;<>$`*\\", r):
			return nil, fmt.Errorf("%q: a command of the documentation does without a shell", line)
		default:
			word, in = word+string(r), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q ends inside a quote", line)
	}
	if in {
		words = append(words, word)
	}
	if len(words) == 0 {
		return nil, errors.New("the command is empty")
	}
	return words, nil
}

// ofBuilds is what openmas and make print about a build that takes a while.
var ofBuilds = regexp.MustCompile("^(make: building |building: \\d|compiled \\d|" +
	regexp.QuoteMeta(mcp.Building) + "|" + regexp.QuoteMeta(mcp.Built) + ")")

// matches compares what was printed with what a document shows.
func matches(want []string, got string) bool {
	pattern := ""
	for _, line := range want {
		line = strings.Join(strings.Fields(line), " ")
		switch line {
		case "":
		case "...":
			pattern += `(?:.*\n)*`
		default:
			pattern += strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`) + `\n`
		}
	}
	text := ""
	for line := range strings.Lines(got) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !ofBuilds.MatchString(line) {
			text += line + "\n"
		}
	}
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(text)
}

// console runs a command and compares.
func (c *docChecker) console(t *testing.T, s step) error {
	if s.err != nil {
		return s.err
	}
	if !slices.Contains([]string{"openmas", "make", "go"}, s.args[0]) {
		return fmt.Errorf("the command %q: it is none of openmas, make and go", s.args[0])
	}
	var args []string
	for _, a := range s.args[1:] {
		args = append(args, strings.NewReplacer("127.0.0.1:8765", "127.0.0.1:"+c.port, "/home/you/openmas",
			c.repo).Replace(a))
	}
	if s.args[0] == "make" && slices.Equal(args, []string{"test"}) {
		args, s.prints = []string{"-n", "test"}, []string{"..."} // it would run this test
	}
	cmd := c.command(t, c.repo, s.args[0], args...)
	goesOn := len(args) > 0 && args[0] == "run" && !slices.ContainsFunc(args, func(a string) bool {
		return a == "--once" || a == "--stdio" || a == "--help"
	})
	if goesOn {
		cmd.Env = append(cmd.Env, "OPENMAS_CONFIG__gateway__listen=127.0.0.1:"+c.port)
	}
	r, err := startOnTerminal(cmd)
	if errors.Is(err, errNoTerminal) {
		t.Skip(err)
	}
	if err != nil {
		return err
	}
	if !goesOn {
		defer r.kill()
		if !r.wait(patience) {
			return fmt.Errorf("%q does not end; it printed\n%s", s.args, c.shown(r.output()))
		}
		if !matches(s.prints, c.shown(r.output())) {
			return fmt.Errorf("%q printed\n%s\nand not\n%s", s.args, c.shown(r.output()), strings.Join(s.prints, "\n"))
		}
		return r.exited(s.code, c.shown(r.output()))
	}
	c.running = append(c.running, r)
	end := time.Now().Add(patience)
	for !matches(s.prints, c.shown(r.output())) {
		if r.wait(20*time.Millisecond) || time.Now().After(end) {
			return fmt.Errorf("%q printed\n%s\nand not\n%s", s.args, c.shown(r.output()), strings.Join(s.prints, "\n"))
		}
	}
	if !s.interrupt {
		return nil
	}
	before := len(r.output())
	if err := r.interrupt(); err != nil {
		return err
	}
	if !r.wait(patience) {
		return fmt.Errorf("%q does not end after Ctrl-C; it printed\n%s", s.args, c.shown(r.output()))
	}
	printed := strings.TrimPrefix(c.shown(r.output()[before:]), "^C")
	if !matches(s.after, printed) {
		return fmt.Errorf("after Ctrl-C %q printed\n%s\nand not\n%s", s.args, printed, strings.Join(s.after, "\n"))
	}
	if s.args[0] == "make" {
		return nil // make itself dies of the signal
	}
	return r.exited(s.code, c.shown(r.output()))
}

// shown is an output as the documents show it.
func (c *docChecker) shown(out string) string {
	return strings.NewReplacer("\r\n", "\n", "127.0.0.1:"+c.port, "127.0.0.1:8765", c.repo,
		"/home/you/openmas").Replace(out)
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
