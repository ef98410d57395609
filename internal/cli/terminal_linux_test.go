package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

// openTerminal opens a terminal. read returns what was written to it, up to a line "the end".
func openTerminal(t *testing.T) (read func() string, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return func() string {
		var b strings.Builder
		for in := bufio.NewScanner(master); in.Scan() && in.Text() != "the end"; {
			b.WriteString(in.Text() + "\r\n")
		}
		return b.String()
	}, tty
}

// The end of a terminal stops what was started there, in order.
func TestHangupOfATerminalStops(t *testing.T) {
	_, tty := openTerminal(t)
	p := program(t, io.Discard, "run", projectFile(t, "agents: {worker: {type: worker}}"))
	p.Stdin = tty
	p.start()
	p.err.Await(t, "msg=ready")
	p.signal(unix.SIGHUP)
	if code := p.code(); code != exitOK || !strings.Contains(p.err.String(), "msg=stopped") {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
}

// What steers a terminal is written out there, and nowhere else is a text changed.
func TestTextsOfStrangersOnATerminal(t *testing.T) {
	read, tty := openTerminal(t)
	nasty := "a\x1b[2Jb\u202ec\u009bd\te\nf"
	res := agent.TextResult(nasty)
	var pipe strings.Builder
	for _, w := range []io.Writer{tty, &pipe} {
		if err := showResult(w, res); err != nil {
			t.Fatal(err)
		}
		if err := WriteJSON(w, map[string]string{"x": nasty + "\x7f"}); err != nil {
			t.Fatal(err)
		}
		if err := showList(w, runtime.Listing{Agents: []agent.Info{{Name: "s", Description: nasty,
			Tools: []agent.ToolInfo{{Name: "t\u202e", Title: nasty, Description: nasty}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintln(tty, "the end")
	shown := read()
	for _, c := range []string{"\x1b", "\u202e", "\u009b", "\x7f"} {
		if strings.Contains(shown, c) {
			t.Errorf("%q stands in %q", c, shown)
		}
	}
	for _, want := range []string{`a\x1b[2Jb\u202ec\u009bd`, "e\r\nf", `t\u202e`} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in %q", want, shown)
		}
	}
	if !strings.HasPrefix(pipe.String(), nasty+"\n") {
		t.Errorf("in a pipe: %q", pipe.String())
	}
}
