package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/internal/testkit"
)

// A screen is a terminal: what is written to it, and its keys.
type screen struct {
	t       *testing.T
	keys    *os.File // the terminal's own end
	program *os.File // the end that a program has
	shown   testkit.Buffer
}

func newScreen(t *testing.T, width, height int) *screen {
	t.Helper()
	s := &screen{t: t}
	s.keys, s.program = testkit.Terminal(t, &s.shown)
	s.resize(width, height)
	return s
}

func (s *screen) resize(width, height int) {
	s.t.Helper()
	size := &unix.Winsize{Col: uint16(width), Row: uint16(height)}
	if err := unix.IoctlSetWinsize(int(s.program.Fd()), unix.TIOCSWINSZ, size); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) modes() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.program.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, keys); err != nil {
		s.t.Fatal(err)
	}
}

// picture is the newest whole one, without its colors.
func (s *screen) picture() []string {
	all := strings.Split(s.shown.String(), topLeft)
	for n := len(all) - 1; n > 0; n-- {
		if strings.Contains(all[n], "q quits") {
			return strings.Split(strings.TrimRight(logs.StripColors(all[n]), "\r\n"), "\r\n")
		}
	}
	return nil
}

// watch runs openmas status -w until it ends.
func (s *screen) watch(ctx context.Context, environ []string, args ...string) <-chan int {
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, Program{Types: types(), Version: testVersion, Environ: environ},
			append([]string{"status", "-w"}, args...), Streams{In: s.program, Out: s.program, Err: s.program})
	}()
	return ended
}

func (s *screen) await(what string, f func(lines []string) bool) {
	s.t.Helper()
	testkit.Eventually(s.t, what, func() bool { return f(s.picture()) }, &s.shown)
}

func has(text string) func([]string) bool {
	return func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), text) }
}

// On a terminal, status -w fits the screen, whatever becomes of that, and leaves it as it was.
func TestWatch(t *testing.T) {
	path := projectFile(t, crew)
	serve(t, path)
	s := newScreen(t, 140, 20)
	before := s.modes()
	for _, end := range []string{"q", "\x03", "\x1b", ""} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := s.watch(ctx, []string{"TERM=xterm"}, "-p", path)
		s.await("the agents", has("greeter"))
		if end == "" {
			cancel()
		} else {
			s.press("x\x1b[A") // a key that means nothing, and an arrow
			s.press(end)
		}
		select {
		case code := <-ended:
			if code != exitOK {
				t.Errorf("ended with %d\n%s", code, &s.shown)
			}
		case <-time.After(hang):
			t.Fatalf("%q does not end it\n%q", end, s.shown.String())
		}
		if after := s.modes(); !reflect.DeepEqual(after, before) {
			t.Errorf("after %q the terminal is %+v; it was %+v", end, after, before)
		}
		testkit.Eventually(t, "the screen that was there before", func() bool {
			return strings.HasSuffix(s.shown.String(), leaveScreen)
		}, &s.shown)
		s.shown.Reset()
	}
}

func TestWatchFitsTheScreen(t *testing.T) {
	path := projectFile(t, crew)
	stop := serve(t, path).stop
	s := newScreen(t, 140, 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := s.watch(ctx, []string{"TERM=xterm"}, "-p", path)
	s.await("all columns", has("RESTARTS"))
	if r := run(t, "", "call", "greeter.greet", "-p", path); r.code != exitFailed {
		t.Fatalf("%+v", r)
	}
	s.await("the call that failed", func(lines []string) bool {
		return has("s ago greet: invalid_argument: ")(lines) && has("q quits")(lines)
	})
	if text := s.shown.String(); !strings.Contains(text, bold) {
		t.Errorf("no colors: %q", text)
	}
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 6}, {20, 3}, {100, 24}} {
		s.resize(size[0], size[1])
		s.await(fmt.Sprintf("a picture of %d x %d", size[0], size[1]), func(lines []string) bool {
			for _, l := range lines {
				if utf8.RuneCountInString(l) > size[0] {
					return false
				}
			}
			return len(lines) <= size[1] && (size != [2]int{80, 24} || has("LAST ERROR")(lines))
		})
	}
	stop()
	s.await("that it no longer runs", has("no process of "))
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("ended with %d", code)
	}
}

// Without colors, on a terminal that is none, and where nothing runs.
func TestWatchPlainly(t *testing.T) {
	path := projectFile(t, crew)
	serve(t, path)
	s := newScreen(t, 100, 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := s.watch(ctx, []string{"TERM=xterm", "NO_COLOR=1"}, "-p", path)
	s.await("the agents", has("greeter"))
	cancel()
	if code := <-ended; code != exitOK || strings.Contains(s.shown.String(), "\x1b[0m") {
		t.Errorf("ended with %d, %q", code, s.shown.String())
	}
	dumb := newScreen(t, 100, 20)
	if code := <-dumb.watch(t.Context(), []string{"TERM=dumb"}, "-p", path); code != exitOK {
		t.Errorf("ended with %d", code)
	}
	testkit.Eventually(t, "the table, once", func() bool {
		return strings.Contains(dumb.shown.String(), "greeter/0")
	}, &dumb.shown)
	if text := dumb.shown.String(); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	nothing := newScreen(t, 100, 20)
	other := projectFile(t, crew)
	if code := <-nothing.watch(t.Context(), nil, "-p", other); code != exitFailed {
		t.Errorf("ended with %d", code)
	}
	testkit.Eventually(t, "why there is nothing", func() bool {
		return strings.Contains(nothing.shown.String(), "no process of "+other)
	}, &nothing.shown)
}
