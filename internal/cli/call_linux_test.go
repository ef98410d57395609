package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/internal/testkit"
)

// at runs a command at the terminal until it ends. Its result goes to a pipe.
func (s *screen) at(environ []string, args ...string) (ended <-chan int, out *testkit.Buffer) {
	done, out := make(chan int, 1), &testkit.Buffer{}
	go func() {
		done <- Run(s.t.Context(), Program{Types: types(), Version: testVersion, Environ: environ}, args,
			Streams{In: s.program, Out: out, Err: s.program})
	}()
	return done, out
}

// sees waits until the terminal shows texts.
func (s *screen) sees(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		testkit.Eventually(s.t, text, func() bool { return strings.Contains(s.text(), text) }, &s.shown)
	}
}

// seesWithin reports whether the terminal shows a text within d.
func (s *screen) seesWithin(d time.Duration, text string) bool {
	tick, end := time.NewTicker(5*time.Millisecond), time.After(d)
	defer tick.Stop()
	for !strings.Contains(s.text(), text) {
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
	return true
}

// text is what the terminal shows, without its colors and bells.
func (s *screen) text() string {
	return strings.ReplaceAll(logs.StripColors(s.shown.String()), "\a", "")
}

func code(t *testing.T, ended <-chan int, s *screen) int {
	t.Helper()
	select {
	case c := <-ended:
		return c
	case <-time.After(hang):
		t.Fatalf("it does not end\n%q", s.shown.String())
		return -1
	}
}

// On a terminal a call asks for the arguments that are missing.
func TestCallForm(t *testing.T) {
	path := projectFile(t, shop)
	s := newScreen(t, 100, 40)
	before := s.modes()
	ended, out := s.at([]string{"TERM=xterm"}, "call", "clerk.order", "note=ring twice", "-p", path)
	s.sees("clerk.order: Order something.", "item: ")
	s.press("x\r")
	s.sees("1 character: it needs 2 at least")
	s.press("tea\r")
	s.sees("amount [1]: ")
	s.press("99\r")
	s.sees("99 is more than 12")
	s.press("\rmaybe\r") // what is typed ahead is not lost
	s.sees("is neither y nor n")
	s.press("y\r")
	s.sees("address.street: ")
	s.press("Main St 1\r")
	s.sees("where to", "address.city: ")
	s.press("Bern\r")
	s.sees("also size, address.floor, tags? [y/N] ")
	s.press("y\r")
	s.sees("1) small  2) middle  3) large", "size [middle]: ")
	s.press("la\t\r")
	s.sees("address.floor: ")
	s.press("\r")
	s.sees("tags: ")
	s.press("a, b\r")
	if c := code(t, ended, s); c != exitOK {
		t.Errorf("ended with %d\n%s", c, &s.shown)
	}
	want := `{
  "address": {
    "city": "Bern",
    "street": "Main St 1"
  },
  "amount": 1,
  "express": true,
  "item": "tea",
  "note": "ring twice",
  "size": "large",
  "tags": [
    "a",
    "b"
  ]
}
`
	if out.String() != want {
		t.Errorf("%s\nwant %s", out, want)
	}
	s.sees("'note=ring twice' size=large")
	if after := s.modes(); !reflect.DeepEqual(after, before) {
		t.Errorf("the terminal is %+v; it was %+v", after, before)
	}
}

// Who leaves a form has called nothing. Without missing arguments, with --no-input, or on a
// terminal that is too simple, there is no form; with --form there is always one.
func TestCallFormLeft(t *testing.T) {
	path := projectFile(t, shop)
	xterm := []string{"TERM=xterm"}
	for _, key := range []string{"\x03", "\x04"} {
		s := newScreen(t, 100, 20)
		before := s.modes()
		ended, out := s.at(xterm, "call", "clerk.order", "-p", path)
		s.sees("item: ")
		s.press("te")
		if key == "\x04" {
			s.press("\x15") // Ctrl-D ends an empty line only
		}
		s.press(key)
		if c := code(t, ended, s); c != exitAborted || out.String() != "" {
			t.Errorf("%q: ended with %d, %q", key, c, out)
		}
		s.sees(": nothing was called")
		if after := s.modes(); !reflect.DeepEqual(after, before) {
			t.Errorf("after %q the terminal is %+v; it was %+v", key, after, before)
		}
	}
	for _, none := range []struct {
		environ []string
		args    []string
	}{
		{xterm, []string{"--no-input"}},
		{[]string{"TERM=dumb"}, nil},
		{xterm, []string{"--log-format", "json"}},
	} {
		s := newScreen(t, 200, 20)
		ended, _ := s.at(none.environ, append([]string{"call", "clerk.order", "-p", path}, none.args...)...)
		if c := code(t, ended, s); c != exitFailed {
			t.Errorf("%q: ended with %d", none.args, c)
		}
		s.sees("missing properties")
	}
	s := newScreen(t, 100, 20)
	ended, out := s.at(xterm, "call", "clerk.count", "n=0", "-p", path)
	if c := code(t, ended, s); c != exitOK || out.String() != "counted\n" {
		t.Errorf("ended with %d, %q", c, out)
	}
	ended, out = s.at(xterm, "call", "clerk.count", "n=0", "--form", "-p", path)
	s.sees("milliseconds between two steps", "pause: ")
	s.press("1\r")
	if c := code(t, ended, s); c != exitOK || out.String() != "counted\n" {
		t.Errorf("ended with %d, %q", c, out)
	}
	if r := run(t, "", "call", "clerk.count", "--form", "-p", path); r.code != exitUsage {
		t.Errorf("--form without a terminal: %+v", r)
	}
}

// A terminal has a bar for progress, with what is written meanwhile above it, and nothing of it
// stays. A question comes in its place.
func TestCallBar(t *testing.T) {
	path := projectFile(t, shop)
	s := newScreen(t, 60, 20)
	ended, out := s.at([]string{"TERM=xterm"}, "call", "clerk.count", "n=4", "pause=60", "-p", path)
	if c := code(t, ended, s); c != exitOK || out.String() != "counted\n" {
		t.Errorf("ended with %d, %q", c, out)
	}
	s.sees("█████████░░░░░░░░░░  50%  2/4  step 2", "INFO clerk \"two is even\"\r\n")
	testkit.Eventually(t, "the bar is gone", func() bool {
		return strings.HasSuffix(s.shown.String(), "\r\x1b[K")
	}, &s.shown)
}

// What a tool asks is asked at the terminal.
func TestCallAsks(t *testing.T) {
	path := projectFile(t, shop)
	xterm := []string{"TERM=xterm"}
	s := newScreen(t, 100, 40)
	ended, out := s.at(xterm, "call", "clerk.seat", "-p", path, "--answer", "place=A")
	s.sees("clerk.seat asks: Which seat?", "row: ")
	s.press("first\r")
	s.sees(`"first" is no whole number`)
	s.press("1\r")
	s.sees("extra: ")
	s.press("\r")
	s.sees("send this? [Y/n] ")
	s.press("\r")
	if c := code(t, ended, s); c != exitOK || out.String() != "{\n  \"row\": 1,\n  \"place\": \"A\"\n}\n" {
		t.Errorf("ended with %d, %q", c, out)
	}
	for key, want := range map[string]int{"\x04": exitFailed, "\x03": exitAborted, "n\r": exitOK} {
		s := newScreen(t, 100, 40)
		ended, _ := s.at(xterm, "call", "clerk.delete", "-p", path)
		s.sees("clerk.delete asks: Delete it all?\r\nThere is no way back.", "sure [y/n]: ")
		s.press(key)
		if c := code(t, ended, s); c != want {
			t.Errorf("%q: ended with %d, want %d\n%s", key, c, want, &s.shown)
		}
	}
}

// Ctrl-C cancels the call where it runs: here in a child process.
func TestCallInterrupted(t *testing.T) {
	path := projectFile(t, "agents: {clerk: {type: clerk, communicator: mcp-stdio}}")
	for _, running := range []bool{false, true} {
		if running {
			serve(t, path)
		}
		state := filepath.Join(filepath.Dir(path), ".openmas", "openmas", "agents", "clerk")
		asleep, woken := filepath.Join(state, "asleep"), filepath.Join(state, "woken")
		_, _ = os.Remove(asleep), os.Remove(woken)
		var out testkit.Buffer
		p := program(t, &out, "call", "clerk.nap", "-p", path)
		p.start()
		testkit.Eventually(t, "the tool sleeps", func() bool { _, err := os.Stat(asleep); return err == nil }, &p.err)
		p.signal(unix.SIGINT)
		if c := p.code(); c != exitAborted ||
			!strings.Contains(p.err.String(), "interrupted by Ctrl-C: the call was canceled") {
			t.Errorf("running %v: ended with %d\n%s", running, c, &p.err)
		}
		testkit.Eventually(t, "the tool's context has ended", func() bool {
			text, err := os.ReadFile(woken)
			return err == nil && strings.Contains(string(text), "cancel")
		}, &p.err)
	}
}
